"""Backends: one module or package each, found by its name. See `envproxy.backend`."""
