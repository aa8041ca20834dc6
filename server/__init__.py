"""The coordinator: Flower ServerApp, rounds, metrics, checkpoints."""
