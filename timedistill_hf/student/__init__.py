"""The student: a flat folder that travels to the Hub with the weights (``trust_remote_code=True``)."""

from .combining_timedistill import combine
from .configuration_timedistill import TimeDistillConfig
from .folding_timedistill import fold, linear_map
from .modeling_timedistill import TimeDistillForPrediction, TimeDistillOutput


__all__ = ["TimeDistillConfig", "TimeDistillForPrediction", "TimeDistillOutput", "combine", "fold", "linear_map"]
