"""Autoformer of transformers as a teacher (Wu et al., NeurIPS 2021, arXiv 2106.13008)."""

from typing import Any

from transformers import AutoformerConfig

from ..._utils.errors import InputError
from ...models.mean_prediction import AutoformerForMeanPrediction
from .lagged import LaggedFamily


class AutoformerFamily(LaggedFamily):
    """Season and trend taken apart, autocorrelation in place of attention; its forecast is always direct."""

    model_type = "autoformer"
    model_class = AutoformerForMeanPrediction
    config_class = AutoformerConfig
    sizes = {"encoder_layers": 1}
    runs_in_half_precision = False  # its Fourier transform does not

    def default_lags(self, context_length: int, prediction_length: int) -> list[int]:
        """Lag 0, the series itself, as in the paper: the whole look-back is context."""
        return [0]

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides: Any
    ) -> AutoformerConfig:
        """The decoder is given as many past steps as it forecasts, but half of the context (the paper's) at most."""
        settings = {"label_length": max(1, min(context_length // 2, prediction_length))}
        return super().config(context_length, prediction_length, num_input_channels, **(settings | overrides))

    def trains_on_future(self, config: AutoformerConfig) -> bool:
        return False

    def check_lengths(self, config: AutoformerConfig, context_length: int, prediction_length: int) -> None:
        super().check_lengths(config, context_length, prediction_length)
        if config.num_time_features and config.prediction_length != prediction_length:
            raise InputError(
                f"the teacher (autoformer) needs the calendar of all {config.prediction_length} steps that it "
                f"forecasts, the student and its data have that of {prediction_length}: pass "
                f"`prediction_length={config.prediction_length}`, or train a teacher for this horizon"
            )

    def remark(self, config: AutoformerConfig) -> str:
        return ""


FAMILY = AutoformerFamily()
