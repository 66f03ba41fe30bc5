"""TimesNet (Wu et al., ICLR 2023, arXiv 2210.02186)."""

from .configuration_timesnet import TimesNetConfig
from .modeling_timesnet import TimesNetForPrediction, TimesNetOutput


__all__ = ["TimesNetConfig", "TimesNetForPrediction", "TimesNetOutput"]
