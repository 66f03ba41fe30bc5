"""PatchTST of transformers as a teacher (Nie et al., ICLR 2023, arXiv 2211.14730)."""

from typing import Any

import torch
from transformers import PatchTSTConfig, PatchTSTForPrediction

from ..signal import TeacherSignal
from .patched import PatchedFamily


class PatchTSTFamily(PatchedFamily):
    """Channel-independent patches; the feature is the last encoder state of every patch."""

    model_type = "patchtst"
    model_class = PatchTSTForPrediction
    config_class = PatchTSTConfig
    sizes = {
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "ffn_dim": 128,
        "attention_dropout": 0.1,
        "ff_dropout": 0.1,
        "pooling_type": None,
    }

    def signal(
        self,
        model: PatchTSTForPrediction,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        **inputs: Any,
    ) -> TeacherSignal:
        """One pass through encoder and head; a distribution head forecasts its mean."""
        encoded = model.model(past_values=past_values, past_observed_mask=past_observed_mask)
        head_output = model.head(encoded.last_hidden_state)
        if model.distribution_output is None:
            forecast = head_output * encoded.scale + encoded.loc
        else:
            forecast = model.distribution_output.distribution(head_output, loc=encoded.loc, scale=encoded.scale).mean
        return TeacherSignal(forecast, encoded.last_hidden_state)

    def channels(self, config: PatchTSTConfig) -> int:
        return config.num_input_channels

    def is_channel_independent(self, config: PatchTSTConfig) -> bool:
        return not config.channel_attention


FAMILY = PatchTSTFamily()
