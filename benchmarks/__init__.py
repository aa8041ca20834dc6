"""Measured comparisons, and what their tests share with them."""
