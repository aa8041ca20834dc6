"""Measured comparisons, each a program (`python -m benchmarks.NAME`), and what their tests share with them."""
