"""A stand-in for StarCraft II: laid out like an installation, speaks the part of its API that SMAC uses.

A battle in it is one of `skirmish`, played loop by loop on the orders that come over the wire. `installation` makes
it, `faults` says what shall go wrong in it; the other modules are the program that a client launches.
"""
