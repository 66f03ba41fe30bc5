"""What forecasters that were trained elsewhere have in common: any single series, any look-back, any horizon."""

import torch
from transformers import PreTrainedConfig

from ..family import TeacherFamily


class FoundationFamily(TeacherFamily):
    """Used as it is, each channel on its own; more steps than it forecasts in one pass are rolled out."""

    rolls_out = True

    def look_back(self, config: PreTrainedConfig) -> None:
        return None

    def check_lengths(self, config: PreTrainedConfig, context_length: int, prediction_length: int) -> None:
        """Any will do."""

    def is_channel_independent(self, config: PreTrainedConfig) -> bool:
        return True

    def remark(self, config: PreTrainedConfig) -> str:
        return f"as it was trained elsewhere; {self.horizon(config)} steps a pass, more are rolled out"


def single_series(values: torch.Tensor) -> torch.Tensor:
    """Windows `[B, L, C]` as series of one channel, `[B C, L]`."""
    return values.transpose(1, 2).flatten(0, 1)
