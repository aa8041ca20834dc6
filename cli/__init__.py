"""The `pps-qmix` command."""
