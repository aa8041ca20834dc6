"""A device: thin Flower ClientApp, resident agent process, seat session, device directory."""
