"""Controls beside every claim that need no training."""

import torch

from ..student.modeling_timedistill import TimeDistillOutput


class SeasonalNaive(torch.nn.Module):
    """Repeats the last season of each window: the floor that every model must pass.

    Args:
        season: steps of one season; where the window is shorter, the last value is repeated.
    """

    def __init__(self, season: int, prediction_length: int):
        super().__init__()
        self.season = season
        self.prediction_length = prediction_length

    def forward(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **kwargs
    ) -> TimeDistillOutput:
        """`past_values` `[B, L, C]` to the forecast `[B, S, C]`; missing steps are interpolated first."""
        if past_observed_mask is not None:
            from ..student.normalization_timedistill import fill_missing

            past_values = fill_missing(past_values, past_observed_mask)
        length = past_values.shape[1]
        season = self.season if self.season <= length else 1
        step = torch.arange(self.prediction_length, device=past_values.device) % season
        return TimeDistillOutput(prediction_outputs=past_values[:, length - season + step])
