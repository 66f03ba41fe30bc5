"""LightTS: MLPs on two samplings of the window, one that keeps neighbours together and one that spreads them.

After arXiv 2207.01186, section 4. Each window is normalised first, which the paper leaves to the data; a look-back
that is no multiple of the chunk is filled up with its oldest value.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .configuration_light_ts import LightTSConfig
from .modeling_forecaster import ForecasterModel


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


class LightTSForPrediction(ForecasterModel):
    """Forecasts all channels at once from continuous and interval samples of each.

    The feature is `[B, C, 2 d_model]`, what both samplings say of each channel, before channels are mixed.
    """

    config_class = LightTSConfig
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

    def forecast(self, values: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        continuous, interval = self._sample(values)
        features = [
            pool(block(samples).transpose(-1, -2)).squeeze(-1)
            for samples, block, pool in (
                (continuous, self.continuous, self.continuous_pool),
                (interval, self.interval, self.interval_pool),
            )
        ]
        feature = torch.cat(features, dim=-1)
        return self.mixer(feature).transpose(1, 2), {"feature": feature}

    def _sample(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`[B, L, C]` to W samples of H steps of each channel, `[B, C, W, H]`: neighbours, and every W-th step."""
        series = values.transpose(1, 2)
        chunks, length = self.config.num_chunks, self.config.chunk_length
        series = F.pad(series, (chunks * length - series.shape[-1], 0), mode="replicate")
        return series.unflatten(-1, (chunks, length)), series.unflatten(-1, (length, chunks)).transpose(-1, -2)
