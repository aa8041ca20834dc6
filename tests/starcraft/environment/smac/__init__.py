"""Stands in for SMAC where that cannot be had: the part of its interface that a worker uses, and none of its code."""
