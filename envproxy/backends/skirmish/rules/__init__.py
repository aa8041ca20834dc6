"""SMAC's own layer over the engine: what SMAC computes, not what StarCraft II does (docs/smac-rules.md)."""
