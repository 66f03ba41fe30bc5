"""TimeMixer (Wang et al., ICLR 2024, arXiv 2405.14616)."""

from .configuration_time_mixer import TimeMixerConfig
from .modeling_time_mixer import TimeMixerForPrediction, TimeMixerOutput


__all__ = ["TimeMixerConfig", "TimeMixerForPrediction", "TimeMixerOutput"]
