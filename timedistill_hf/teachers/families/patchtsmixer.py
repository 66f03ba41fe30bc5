"""PatchTSMixer of transformers as a teacher (Ekambaram et al., KDD 2023, arXiv 2306.09364)."""

from typing import Any

import torch
import transformers
from transformers import PatchTSMixerConfig
from transformers.utils import ModelOutput

from ...student.normalization_timedistill import fill_missing
from ..signal import TeacherSignal
from .patched import PatchedFamily


class PatchTSMixerForPrediction(transformers.PatchTSMixerForPrediction):
    """Takes `past_observed_mask`, as all others do, where transformers' own takes `observed_mask`.

    Missing steps are interpolated, and do not count in the window's mean and deviation.
    """

    def forward(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> ModelOutput:
        if past_observed_mask is not None:
            past_values = fill_missing(past_values, past_observed_mask)
        return super().forward(past_values, observed_mask=past_observed_mask, **kwargs)


class PatchTSMixerFamily(PatchedFamily):
    """MLPs over patches and within them; the feature is the last hidden state of every patch."""

    model_type = "patchtsmixer"
    model_class = PatchTSMixerForPrediction
    config_class = PatchTSMixerConfig
    sizes = {"num_layers": 3, "dropout": 0.1}

    def signal(
        self,
        model: PatchTSMixerForPrediction,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        **inputs: Any,
    ) -> TeacherSignal:
        """A distribution head forecasts its mean."""
        output = model(past_values, past_observed_mask)
        forecast = output.prediction_outputs
        if model.distribution_output is not None:
            forecast = model.distribution_output.distribution(forecast, loc=output.loc, scale=output.scale).mean
        return TeacherSignal(forecast, output.last_hidden_state)

    def channels(self, config: PatchTSMixerConfig) -> int | None:
        """Any, unless it mixes them."""
        return None if self.is_channel_independent(config) else config.num_input_channels

    def is_channel_independent(self, config: PatchTSMixerConfig) -> bool:
        return config.mode == "common_channel"


FAMILY = PatchTSMixerFamily()
