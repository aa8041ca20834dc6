"""Recorded battles made into what can be looked at: a page with a player, an animated picture."""
