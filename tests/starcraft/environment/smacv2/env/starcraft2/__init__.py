"""As in SMACv2."""
