"""The student: a flat folder that travels to the Hub with the weights (``trust_remote_code=True``)."""

from .configuration_timedistill import TimeDistillConfig
from .modeling_timedistill import TimeDistillForPrediction, TimeDistillOutput


__all__ = ["TimeDistillConfig", "TimeDistillForPrediction", "TimeDistillOutput"]
