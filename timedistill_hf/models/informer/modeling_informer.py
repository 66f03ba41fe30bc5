"""transformers' Informer (arXiv 2012.07436) as a deterministic forecaster: the mean of its distribution.

The weights and the configuration are those of `InformerForPrediction`; only what `forward` returns differs.
"""

from dataclasses import dataclass

import torch
from transformers import InformerConfig, InformerForPrediction
from transformers.utils import ModelOutput, can_return_tuple

from ...student.normalization_timedistill import fill_missing


@dataclass
class InformerMeanOutput(ModelOutput):
    """Output of [`InformerForMeanPrediction`].

    Args:
        prediction_outputs: `[B, S, C]`, the mean of the forecast distribution on the scale of `past_values`.
        last_hidden_state: `[B, S, d_model]`, the decoder's last state at each step of the horizon.
    """

    prediction_outputs: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None


def is_direct(config: InformerConfig) -> bool:
    """Whether no lag reaches into the horizon, so that one pass forecasts all of it without knowing any of it."""
    return min(config.lags_sequence) >= config.prediction_length


class InformerForMeanPrediction(InformerForPrediction):
    """Forecasts the mean: in one pass where every lag is at least the horizon, else step by step (roll-out).

    In a roll-out each step's mean is fed back as if it had been observed; in training the truth is (teacher forcing),
    so `future_values` are needed there. Nothing is sampled. A history longer than `context_length + max(lags)` is cut
    to its last steps.
    """

    main_input_name = "past_values"
    accepts_loss_kwargs = False
    _no_split_modules = ["InformerEncoderLayer", "InformerDecoderLayer"]

    def __init__(self, config: InformerConfig):
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
        **kwargs,
    ) -> InformerMeanOutput:
        r"""
        Args:
            past_values: `[B, L, C]` with L at least `history_length`.
            past_observed_mask: `[B, L, C]`, 1 where observed; missing steps are interpolated.
            past_time_features, future_time_features: `[B, L, F]` and `[B, S, F]`, where `num_time_features` is not 0.
            future_values: `[B, S, C]`, the truth; read in training of a roll-out model only.
        """
        inputs = self._inputs(past_values, past_observed_mask, past_time_features, future_time_features)
        if is_direct(self.config):
            hidden, loc, scale = self._decode(inputs, torch.zeros_like(inputs["future_values"]))
        elif self.training:
            if future_values is None:
                raise ValueError("training an Informer with lags below the horizon needs future_values")
            hidden, loc, scale = self._decode(inputs, self._to_model(future_values))
        else:
            hidden, loc, scale = self._roll_out(inputs)
        mean = self._mean(hidden, loc, scale)
        return InformerMeanOutput(
            prediction_outputs=mean.unsqueeze(-1) if self.config.input_size == 1 else mean, last_hidden_state=hidden
        )

    def _inputs(self, values, observed, past_features, future_features) -> dict[str, torch.Tensor]:
        length, horizon = self.history_length, self.config.prediction_length
        if values.shape[1] < length:
            raise ValueError(
                f"past_values has {values.shape[1]} steps: this Informer reads context_length="
                f"{self.config.context_length} and a largest lag of {max(self.config.lags_sequence)}, {length} steps"
            )
        if past_features is None or future_features is None:
            if self.config.num_time_features:
                raise ValueError(f"this Informer needs {self.config.num_time_features} past and future time features")
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

    def _decode(self, inputs: dict, future_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        output = self.model(**(inputs | {"future_values": future_values}), use_cache=False)
        return output.last_hidden_state, output.loc, output.scale

    def _mean(self, hidden: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return self.output_distribution(self.output_params(hidden), loc=loc, scale=scale).mean

    def _roll_out(self, inputs: dict) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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


__all__ = ["InformerForMeanPrediction", "InformerMeanOutput", "is_direct"]
