"""The student: a flat folder that travels to the Hub with the weights (``trust_remote_code=True``)."""

from .combining_timedistill import combine
from .configuration_timedistill import TimeDistillConfig
from .folding_timedistill import fold, linear_map
from .fusing_timedistill import FusedOutput, FusedStudent, fuse, inference_copy
from .modeling_timedistill import TimeDistillForPrediction, TimeDistillOutput


__all__ = [
    "FusedOutput",
    "FusedStudent",
    "TimeDistillConfig",
    "TimeDistillForPrediction",
    "TimeDistillOutput",
    "combine",
    "fold",
    "fuse",
    "inference_copy",
    "linear_map",
]
