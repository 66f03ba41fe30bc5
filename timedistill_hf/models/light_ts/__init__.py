"""LightTS (Zhang et al., 2022, arXiv 2207.01186)."""

from .configuration_light_ts import LightTSConfig
from .modeling_light_ts import LightTSForPrediction, LightTSOutput


__all__ = ["LightTSConfig", "LightTSForPrediction", "LightTSOutput"]
