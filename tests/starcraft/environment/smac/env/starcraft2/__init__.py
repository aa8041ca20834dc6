"""As in SMAC."""

MAP_SIZES = "PPS_TEST_MAP_SIZES"  # environment variable: JSON, {name: {n_agents, n_enemies, n_actions, obs_size, ...}}
