"""What plays a run: one process, or Flower's processes and the env proxy on this machine or on several."""
