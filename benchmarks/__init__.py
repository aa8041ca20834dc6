"""Measured comparisons, each a program (`python -m benchmarks.NAME`), and what their tests share with them.

The parts of the test bed are no such programs: `hosts`, `edge` and `bad_link`, with which `devices` and the system
tests put a federation on hosts of its own.
"""
