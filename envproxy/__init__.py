"""The env proxy: battles of many arenas, served to the seats over gRPC."""
