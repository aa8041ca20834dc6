"""Runs side by side: a sortable table, and the curves of the runs that differ in nothing but their seeds."""
