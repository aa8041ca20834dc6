"""`pps-qmix doctor`: looks at what a machine needs before a run needs it."""
