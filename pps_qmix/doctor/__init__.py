"""Checks of what this machine needs for a run."""
