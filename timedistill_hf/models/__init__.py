"""Forecasters that transformers lacks, and adapters for those that it has.

A configuration and a model file each. They travel to the Hub with their weights: they import only torch, transformers
and each other.
"""

from .configuration_itransformer import ITransformerConfig
from .configuration_light_ts import LightTSConfig
from .configuration_modern_tcn import ModernTCNConfig
from .configuration_time_mixer import TimeMixerConfig
from .configuration_timesnet import TimesNetConfig
from .modeling_itransformer import ITransformerForPrediction
from .modeling_light_ts import LightTSForPrediction
from .modeling_modern_tcn import ModernTCNForPrediction
from .modeling_time_mixer import TimeMixerForPrediction
from .modeling_timesnet import TimesNetForPrediction


__all__ = [
    "ITransformerConfig",
    "ITransformerForPrediction",
    "LightTSConfig",
    "LightTSForPrediction",
    "ModernTCNConfig",
    "ModernTCNForPrediction",
    "TimeMixerConfig",
    "TimeMixerForPrediction",
    "TimesNetConfig",
    "TimesNetForPrediction",
]
