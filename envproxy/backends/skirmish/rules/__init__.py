"""SMAC's own layer over the engine, after spec sections 3 to 8: what SMAC computes, not what StarCraft II does."""
