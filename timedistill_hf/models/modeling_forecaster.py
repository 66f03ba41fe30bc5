"""What this package's own forecasters share: normalisation of the window, loss and output."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple


@dataclass
class ForecasterOutput(ModelOutput):
    """Output of a forecaster; which of `feature` and `last_hidden_state` it has, and their shapes, its class says.

    Args:
        loss: scalar, where `future_values` were given.
        prediction_outputs: `[B, S, C]`, the forecast on the scale of `past_values`.
        feature: `[B, C, d]`, one vector a channel.
        last_hidden_state: what the last layer gives.
        loc, scale: `[B, 1, C]`, mean and standard deviation taken out of each window.
    """

    loss: torch.Tensor | None = None
    prediction_outputs: torch.Tensor | None = None
    feature: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None
    loc: torch.Tensor | None = None
    scale: torch.Tensor | None = None


class ForecasterModel(PreTrainedModel):
    """Normalises each window, forecasts by `forecast` of its subclass, and scales back."""

    base_model_prefix = "model"
    main_input_name = "past_values"
    input_modalities = ("time",)
    accepts_loss_kwargs = False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """torch's own initialisation."""
        if isinstance(module, nn.Linear):
            uniform(module.in_features, module.weight, module.bias)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)

    @can_return_tuple
    def forward(
        self,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        future_values: torch.Tensor | None = None,
        future_observed_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> ForecasterOutput:
        r"""
        Args:
            past_values: `[B, L, C]`.
            past_observed_mask: `[B, L, C]`, 1 where observed; missing steps are set to the window's observed mean.
            future_values: `[B, S, C]`, the truth; with it the output holds the loss.
            future_observed_mask: `[B, S, C]`, 1 where the truth was observed.
        """
        self._check(past_values)
        loc, scale, normalized = self.normalize(past_values, past_observed_mask)
        forecast, states = self.forecast(normalized)
        forecast = forecast * scale + loc
        loss = None
        if future_values is not None:
            error = forecast - future_values
            error = error.abs() if self.config.loss == "mae" else error.square()
            loss = error.mean() if future_observed_mask is None else error[future_observed_mask.bool()].mean()
        return ForecasterOutput(loss=loss, prediction_outputs=forecast, **states, loc=loc, scale=scale)

    def forecast(self, values: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """What `normalize` gives to the normalised forecast `[B, S, C]`, and what else the output has."""
        raise NotImplementedError

    def normalize(self, values: torch.Tensor, observed: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Mean and scale of each window, `[B, 1, C]`, and the normalised window `[B, L, C]`."""
        mean, scale, centred = window_statistics(values, observed)
        if self.config.scaling is None:
            return torch.zeros_like(mean), torch.ones_like(mean), centred + mean
        return mean, scale, centred / scale

    def _check(self, past_values: torch.Tensor) -> None:
        config, (steps, channels) = self.config, past_values.shape[1:]
        fits = not config.is_channel_bound or channels == config.num_input_channels
        if steps != config.context_length or not fits:
            of = f" of {config.num_input_channels}" if config.is_channel_bound else ""
            raise ValueError(
                f"past_values has {steps} steps of {channels} channels: this "
                f"{type(self).__name__.removesuffix('ForPrediction')} expects {config.context_length} steps{of}"
            )


def window_statistics(values: torch.Tensor, observed: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """Mean and deviation over the observed steps, `[B, 1, C]`, and the centred window, 0 where missing."""
    if observed is None:
        observed = torch.ones_like(values)
    observed = observed.to(values.dtype)
    values = torch.where(observed.bool(), values, torch.zeros_like(values))
    count = observed.sum(dim=1, keepdim=True).clamp(min=1)
    mean = values.sum(dim=1, keepdim=True) / count
    centred = (values - mean) * observed
    return mean, torch.sqrt(centred.square().sum(dim=1, keepdim=True) / count + 1e-5), centred


def uniform(fan_in: int, *tensors: torch.Tensor) -> None:
    """torch's own initialisation of linear layers and convolutions."""
    for tensor in tensors:
        init.uniform_(tensor, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
