"""LightTS: MLPs on two samplings of the window, one that keeps neighbours together and one that spreads them.

After arXiv 2207.01186, section 4. Each window is normalised first, which the paper leaves to the data; a look-back
that is no multiple of the chunk is filled up with its oldest value.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_light_ts import LightTSConfig


@dataclass
class LightTSOutput(ModelOutput):
    """Output of LightTS.

    Args:
        loss: scalar, where `future_values` were given.
        prediction_outputs: `[B, S, C]`, the forecast on the scale of `past_values`.
        feature: `[B, C, 2 d_model]`, what both samplings say of each channel, before channels are mixed.
        loc, scale: `[B, 1, C]`, mean and standard deviation taken out of each window.
    """

    loss: torch.Tensor | None = None
    prediction_outputs: torch.Tensor | None = None
    feature: torch.Tensor | None = None
    loc: torch.Tensor | None = None
    scale: torch.Tensor | None = None


class LightTSBlock(nn.Module):
    """Information exchange block (section 4.2): a matrix `[..., W, H]` of W columns to `[..., W, out]`.

    Each column is narrowed to a bottleneck; there the columns exchange what they know, added to what each has; each is
    then widened.
    """

    def __init__(self, height: int, width: int, hidden_size: int, output_size: int, bottleneck_ratio: int):
        super().__init__()
        bottleneck = max(1, hidden_size // bottleneck_ratio)
        self.temporal1 = nn.Linear(height, hidden_size)
        self.temporal2 = nn.Linear(hidden_size, bottleneck)
        self.exchange = nn.Linear(width, width)
        self.output = nn.Linear(bottleneck, output_size)

    def forward(self, columns: torch.Tensor) -> torch.Tensor:
        narrow = self.temporal2(F.leaky_relu(self.temporal1(columns)))
        return self.output(narrow + self.exchange(narrow.transpose(-1, -2)).transpose(-1, -2))


class LightTSForPrediction(PreTrainedModel):
    """Forecasts all channels at once from continuous and interval samples of each."""

    config_class = LightTSConfig
    base_model_prefix = "model"
    main_input_name = "past_values"
    input_modalities = ("time",)
    accepts_loss_kwargs = False
    _no_split_modules = ["LightTSBlock"]

    def __init__(self, config: LightTSConfig):
        super().__init__(config)
        sampled = (config.chunk_length, config.num_chunks, config.d_model, config.d_model, config.bottleneck_ratio)
        self.continuous, self.interval = LightTSBlock(*sampled), LightTSBlock(*sampled)
        self.continuous_pool, self.interval_pool = nn.Linear(config.num_chunks, 1), nn.Linear(config.num_chunks, 1)
        both = 2 * config.d_model
        self.mixer = LightTSBlock(
            both, config.num_input_channels, both, config.prediction_length, config.bottleneck_ratio
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """torch's own initialisation of linear layers."""
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            init.uniform_(module.weight, -bound, bound)
            init.uniform_(module.bias, -bound, bound)

    @can_return_tuple
    def forward(
        self,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        future_values: torch.Tensor | None = None,
        future_observed_mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> LightTSOutput:
        r"""
        Args:
            past_values: `[B, L, C]`.
            past_observed_mask: `[B, L, C]`, 1 where observed; missing steps are set to the window's observed mean.
            future_values: `[B, S, C]`, the truth; with it the output holds the loss.
            future_observed_mask: `[B, S, C]`, 1 where the truth was observed.
        """
        expected = (self.config.context_length, self.config.num_input_channels)
        if past_values.shape[1:] != expected:
            raise ValueError(
                f"past_values has {past_values.shape[1]} steps of {past_values.shape[2]} channels: this LightTS "
                f"expects {expected[0]} steps of {expected[1]}"
            )
        loc, scale, normalized = self._normalize(past_values, past_observed_mask)
        continuous, interval = self._sample(normalized)
        features = [
            pool(block(samples).transpose(-1, -2)).squeeze(-1)
            for samples, block, pool in (
                (continuous, self.continuous, self.continuous_pool),
                (interval, self.interval, self.interval_pool),
            )
        ]
        feature = torch.cat(features, dim=-1)
        forecast = self.mixer(feature).transpose(1, 2) * scale + loc

        loss = None
        if future_values is not None:
            error = forecast - future_values
            error = error.abs() if self.config.loss == "mae" else error.square()
            loss = error.mean() if future_observed_mask is None else error[future_observed_mask.bool()].mean()
        return LightTSOutput(loss=loss, prediction_outputs=forecast, feature=feature, loc=loc, scale=scale)

    def _sample(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`[B, L, C]` to W samples of H steps of each channel, `[B, C, W, H]`: neighbours, and every W-th step."""
        series = values.transpose(1, 2)
        chunks, length = self.config.num_chunks, self.config.chunk_length
        series = F.pad(series, (chunks * length - series.shape[-1], 0), mode="replicate")
        return series.unflatten(-1, (chunks, length)), series.unflatten(-1, (length, chunks)).transpose(-1, -2)

    def _normalize(self, values: torch.Tensor, observed: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        if observed is None:
            observed = torch.ones_like(values)
        observed = observed.to(values.dtype)
        values = torch.where(observed.bool(), values, torch.zeros_like(values))
        count = observed.sum(dim=1, keepdim=True).clamp(min=1)
        mean = values.sum(dim=1, keepdim=True) / count
        centred = (values - mean) * observed
        if self.config.scaling is None:
            return torch.zeros_like(mean), torch.ones_like(mean), centred + mean
        scale = torch.sqrt(centred.square().sum(dim=1, keepdim=True) / count + 1e-5)
        return mean, scale, centred / scale


__all__ = ["LightTSForPrediction", "LightTSOutput"]
