"""`pps-qmix experiment`: many runs from one file, and what came of them over seeds."""
