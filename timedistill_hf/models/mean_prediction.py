"""transformers' Informer and its relatives as deterministic forecasters: the mean of their distribution.

Weights and configuration are those of transformers' `...ForPrediction`; only what `forward` returns differs.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AutoformerForPrediction,
    InformerForPrediction,
    PreTrainedConfig,
    TimeSeriesTransformerForPrediction,
)
from transformers.utils import ModelOutput, can_return_tuple

from ..student.normalization_timedistill import fill_missing


@dataclass
class MeanPredictionOutput(ModelOutput):
    """Output of the models of this file.

    Args:
        prediction_outputs: `[B, S, C]`, the mean of the forecast distribution on the scale of `past_values`.
        last_hidden_state: `[B, S, d_model]`, the decoder's last state at each step of the horizon.
    """

    prediction_outputs: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None


def is_direct(config: PreTrainedConfig) -> bool:
    """Whether no lag reaches into the horizon, so that one pass forecasts all of it without knowing any of it."""
    return min(config.lags_sequence) >= config.prediction_length


_Mixed: Any = object  # the model class beside which it is inherited


class _MeanPrediction(_Mixed):
    """Forecasts the mean: in one pass where every lag is at least the horizon, else step by step (roll-out).

    In a roll-out each step's mean is fed back as if it had been observed; in training the truth is (teacher forcing),
    so `future_values` are needed there. Nothing is sampled. A history longer than `context_length + max(lags)` is cut
    to its last steps.
    """

    main_input_name = "past_values"
    accepts_loss_kwargs = False

    def __init__(self, config: PreTrainedConfig):
        super().__init__(config)
        names = list(self.distribution_output.args_dim)
        if "loc" in names:  # the mean of a normal or Student's t distribution: nothing else is trained
            for name, projection in zip(names, self.parameter_projection.proj, strict=True):
                projection.requires_grad_(name == "loc")

    @property
    def history_length(self) -> int:
        """Steps of history that one forecast reads."""
        return self.config.context_length + max(self.config.lags_sequence)

    @can_return_tuple
    def forward(
        self,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        past_time_features: torch.Tensor | None = None,
        future_time_features: torch.Tensor | None = None,
        future_values: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> MeanPredictionOutput:
        r"""
        Args:
            past_values: `[B, L, C]` with L at least `history_length`.
            past_observed_mask: `[B, L, C]`, 1 where observed; missing steps are interpolated.
            past_time_features, future_time_features: `[B, L, F]` and `[B, S, F]`, where `num_time_features` is not 0.
            future_values: `[B, S, C]`, the truth; read in training of a model that rolls out only.
        """
        inputs = self._inputs(past_values, past_observed_mask, past_time_features, future_time_features)
        hidden, loc, scale = self._run(inputs, future_values)
        mean = self._mean(hidden, loc, scale)
        return MeanPredictionOutput(
            prediction_outputs=mean.unsqueeze(-1) if self.config.input_size == 1 else mean, last_hidden_state=hidden
        )

    def _inputs(
        self,
        values: torch.Tensor,
        observed: torch.Tensor | None,
        past_features: torch.Tensor,
        future_features: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        length, horizon = self.history_length, self.config.prediction_length
        if values.shape[1] < length:
            raise ValueError(
                f"past_values has {values.shape[1]} steps: this {self.config.model_type} reads context_length="
                f"{self.config.context_length} and a largest lag of {max(self.config.lags_sequence)}, {length} steps"
            )
        if past_features is None or future_features is None:
            if self.config.num_time_features:
                needed = self.config.num_time_features
                raise ValueError(f"this {self.config.model_type} needs {needed} past and future time features")
            past_features = values.new_zeros(len(values), length, 0)
            future_features = values.new_zeros(len(values), horizon, 0)
        if observed is not None:
            values = fill_missing(values[:, -length:], observed[:, -length:])
        past_values = self._to_model(values[:, -length:])
        return {
            "past_values": past_values,
            "past_observed_mask": torch.ones_like(past_values),
            "past_time_features": past_features[:, -length:],
            "future_time_features": future_features,
            "future_values": past_values.new_zeros(len(values), horizon, *past_values.shape[2:]),
        }

    def _to_model(self, values: torch.Tensor) -> torch.Tensor:
        """transformers takes a single channel without its dimension."""
        return values.squeeze(-1) if self.config.input_size == 1 else values

    def _run(self, inputs: dict, future_values: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """The decoder's states, and level and scale of the window."""
        if is_direct(self.config):
            return self._decode(inputs)
        if not self.training:
            return self._roll_out(inputs)
        if future_values is None:
            raise ValueError(f"training this {self.config.model_type} with lags below the horizon needs future_values")
        return self._decode(inputs | {"future_values": self._to_model(future_values)})

    def _decode(self, inputs: dict) -> tuple[torch.Tensor, ...]:
        output = self.model(**inputs, use_cache=False)
        return output.last_hidden_state, output.loc, output.scale

    def _roll_out(self, inputs: dict) -> tuple[torch.Tensor, ...]:
        """The encoder once, then the decoder over ever longer prefixes: its causal mask keeps what came before.

        transformers' key-value cache is not used: its positions are wrong after the first step.
        """
        context, horizon = self.config.context_length, self.config.prediction_length
        future = inputs["future_values"].clone()
        encoded, hidden = None, None
        for step in range(horizon):
            network_inputs, loc, scale, _ = self.model.create_network_inputs(**(inputs | {"future_values": future}))
            if encoded is None:
                encoded = self.model.encoder(inputs_embeds=network_inputs[:, :context]).last_hidden_state
            hidden = self.model.decoder(
                inputs_embeds=network_inputs[:, context : context + step + 1],
                encoder_hidden_states=encoded,
                use_cache=False,
            ).last_hidden_state
            future[:, step] = self._mean(hidden, loc, scale)[:, step]
        return hidden, loc, scale

    def _mean(self, hidden: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return self.output_distribution(self.output_params(hidden), loc=loc, scale=scale).mean


class InformerForMeanPrediction(_MeanPrediction, InformerForPrediction):
    """See [`_MeanPrediction`]; Zhou et al., AAAI 2021, arXiv 2012.07436."""

    _no_split_modules = ["InformerEncoderLayer", "InformerDecoderLayer"]


class TimeSeriesTransformerForMeanPrediction(_MeanPrediction, TimeSeriesTransformerForPrediction):
    """See [`_MeanPrediction`]."""

    _no_split_modules = ["TimeSeriesTransformerEncoderLayer", "TimeSeriesTransformerDecoderLayer"]


class AutoformerForMeanPrediction(_MeanPrediction, AutoformerForPrediction):
    """In one pass, whatever its lags: its decoder starts from the past's trend and season alone.

    Its last hidden state is season plus trend.
    """

    _no_split_modules = ["AutoformerEncoderLayer", "AutoformerDecoderLayer"]

    def _run(self, inputs: dict, future_values: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        output = self.model(**inputs, use_cache=False)
        hidden = (output.last_hidden_state + output.trend)[:, -self.config.prediction_length :]
        return hidden, output.loc, output.scale
