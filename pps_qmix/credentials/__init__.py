"""Certificates, keys and tokens of a federation: a folder for each machine."""
