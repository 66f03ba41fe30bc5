"""TimesFM of transformers as a teacher that needs no training (Das et al., ICML 2024, arXiv 2310.10688)."""

from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel, TimesFmConfig, TimesFmModelForPrediction

from ...student.normalization_timedistill import fill_missing
from ..signal import TeacherSignal
from .foundation import FoundationFamily, single_series


class TimesFmFamily(FoundationFamily):
    """A trained forecaster of any single series; the feature is the last patch's state, from which it forecasts.

    One pass forecasts `horizon_length` steps (128); more are rolled out, the model's own forecasts fed back as
    history. It reads any look-back up to its `context_length`, of a longer one the last steps. Missing steps are
    interpolated.
    """

    model_type = "timesfm"
    model_class = TimesFmModelForPrediction
    config_class = TimesFmConfig
    checkpoint = "google/timesfm-2.0-500m-pytorch"

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides: Any
    ) -> PreTrainedConfig:
        """A very small one, to try things out: its weights are random."""
        patch_length = overrides.get("patch_length", 32)
        settings = {
            "context_length": _in_patches(context_length, patch_length),
            "horizon_length": 128,
            "num_hidden_layers": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "head_dim": 16,
            "num_attention_heads": 2,
        }
        return self.config_class(**(settings | overrides))

    def signal(
        self,
        model: PreTrainedModel,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        *,
        prediction_length: int,
        **inputs: Any,
    ) -> TeacherSignal:
        if past_observed_mask is not None:
            past_values = fill_missing(past_values, past_observed_mask)
        batch, length, channels = past_values.shape
        series = single_series(past_values)
        feature = None
        while series.shape[1] < length + prediction_length:
            output = self._forecast(model, series)
            feature = output.last_hidden_state[:, -1] if feature is None else feature
            series = torch.cat([series, output.mean_predictions.to(series.dtype)], dim=1)
        forecast = series[:, length : length + prediction_length]
        return TeacherSignal(
            forecast.reshape(batch, channels, -1).transpose(1, 2), feature.reshape(batch, channels, -1)
        )

    def _forecast(self, model: PreTrainedModel, series: torch.Tensor) -> Any:
        """One pass; forecasts may be negative, and the context is no longer than the history needs."""
        config = model.config
        read = min(_in_patches(series.shape[1], config.patch_length), config.context_length)
        return model(past_values=series, forecast_context_len=read, truncate_negative=False)

    def horizon(self, config: PreTrainedConfig) -> int:
        return config.horizon_length


def _in_patches(length: int, patch_length: int) -> int:
    """The length in whole patches, rounded up."""
    return -(-length // patch_length) * patch_length


FAMILY = TimesFmFamily()
