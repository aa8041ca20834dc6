"""Flower strategies: how the agents of a team share their parameters."""
