"""The maps under SMACv2's names, which are in one registry with the stand-in's others."""

from smac.env.starcraft2.maps.smac_maps import get_smac_map_registry

__all__ = ["get_smac_map_registry"]
