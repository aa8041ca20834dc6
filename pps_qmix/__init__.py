"""The Python API of PPS-QMIX and what it is made of."""
