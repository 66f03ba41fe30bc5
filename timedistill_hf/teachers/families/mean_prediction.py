"""Informer's relatives in transformers as deterministic forecasters of their distribution's mean.

They take the same inputs and give them to the same parts, so that what [`InformerForMeanPrediction`] does with them
holds for all: weights and configuration are transformers' own, only what `forward` returns differs.
"""

import torch
from transformers import AutoformerForPrediction, PreTrainedConfig, TimeSeriesTransformerForPrediction
from transformers.utils import can_return_tuple

from ...models.informer import InformerForMeanPrediction, InformerMeanOutput


class _MeanOfDistribution:
    """How [`InformerForMeanPrediction`] prepares its inputs and reads its distribution, for another class."""

    main_input_name = "past_values"
    accepts_loss_kwargs = False

    def __init__(self, config: PreTrainedConfig):
        super().__init__(config)
        names = list(self.distribution_output.args_dim)
        if "loc" in names:  # the mean of a normal or Student's t distribution: nothing else is trained
            for name, projection in zip(names, self.parameter_projection.proj, strict=True):
                projection.requires_grad_(name == "loc")

    history_length = InformerForMeanPrediction.history_length
    _inputs = InformerForMeanPrediction._inputs
    _to_model = InformerForMeanPrediction._to_model
    _mean = InformerForMeanPrediction._mean


class TimeSeriesTransformerForMeanPrediction(_MeanOfDistribution, TimeSeriesTransformerForPrediction):
    """Forecasts the mean: in one pass where every lag is at least the horizon, else step by step (roll-out).

    All else is as in [`InformerForMeanPrediction`].
    """

    _no_split_modules = ["TimeSeriesTransformerEncoderLayer", "TimeSeriesTransformerDecoderLayer"]

    forward = InformerForMeanPrediction.forward
    _decode = InformerForMeanPrediction._decode
    _roll_out = InformerForMeanPrediction._roll_out


class AutoformerForMeanPrediction(_MeanOfDistribution, AutoformerForPrediction):
    """Forecasts the mean in one pass, whatever its lags: its decoder starts from the past's trend and season alone."""

    _no_split_modules = ["AutoformerEncoderLayer", "AutoformerDecoderLayer"]

    @can_return_tuple
    def forward(
        self,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        past_time_features: torch.Tensor | None = None,
        future_time_features: torch.Tensor | None = None,
        **kwargs,
    ) -> InformerMeanOutput:
        r"""
        Args:
            past_values: `[B, L, C]` with L at least `history_length`.
            past_observed_mask: `[B, L, C]`, 1 where observed; missing steps are interpolated.
            past_time_features, future_time_features: `[B, L, F]` and `[B, S, F]`, where `num_time_features` is not 0.

        Returns:
            The mean, and the decoder's last state `[B, S, d]`: season plus trend.
        """
        inputs = self._inputs(past_values, past_observed_mask, past_time_features, future_time_features)
        output = self.model(**inputs, use_cache=False)
        hidden = (output.last_hidden_state + output.trend)[:, -self.config.prediction_length :]
        mean = self._mean(hidden, output.loc, output.scale)
        return InformerMeanOutput(
            prediction_outputs=mean.unsqueeze(-1) if self.config.input_size == 1 else mean, last_hidden_state=hidden
        )
