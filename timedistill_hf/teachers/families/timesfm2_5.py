"""TimesFM 2.5 of transformers as a teacher that needs no training (Das et al., ICML 2024, arXiv 2310.10688)."""

from typing import Any

from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction

from .timesfm import TimesFmFamily


class TimesFm2_5Family(TimesFmFamily):
    """Reads up to 16,384 steps; its point forecast is the median. All else is as in [`TimesFmFamily`]."""

    model_type = "timesfm2_5"
    model_class = TimesFm2_5ModelForPrediction
    config_class = TimesFm2_5Config
    checkpoint = "google/timesfm-2.5-200m-transformers"

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides: Any
    ) -> TimesFm2_5Config:
        """A very small one, to try things out: its weights are random."""
        settings = {"num_key_value_heads": 2, "output_quantile_len": 128}
        return super().config(context_length, prediction_length, num_input_channels, **(settings | overrides))


FAMILY = TimesFm2_5Family()
