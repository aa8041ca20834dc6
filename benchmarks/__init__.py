"""Measured comparisons, each a program: `python -m benchmarks.NAME`."""
