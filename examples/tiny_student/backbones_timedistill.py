"""What maps a centred window to its forecast: the paper's two-branch MLP, and the forms beside it.

Every backbone takes `[B, C, L]` and returns the forecast `[B, C, S]` and the feature `[B, C, D]` (`None` where there
is no hidden layer). The weights are shared by all channels.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .linear_timedistill import CycleBackbone, LinearBackbone, PeriodicBackbone, ZeroLinear
from .patch_mixer_timedistill import PatchMixer


def moving_average(values: torch.Tensor, kernel_size: int) -> torch.Tensor:
    """Centred moving average along the last axis of `[B, C, L]`, the edge values repeated to keep the length."""
    margin = (kernel_size - 1) // 2
    padded = F.pad(values, (margin, margin), mode="replicate")
    return F.avg_pool1d(padded, kernel_size, stride=1)


class MLPBranch(nn.Module):
    """Linear L -> D, normalisation, ReLU, linear D -> S; the feature is the first layer's output (steps 3 to 5).

    Dropout, which the paper has none of, acts on the hidden layer. `decoder_class` is the output layer's.
    """

    def __init__(self, config, decoder_class: type[nn.Linear] = nn.Linear):
        super().__init__()
        self.encoder = nn.Linear(config.context_length, config.hidden_size)
        if config.hidden_norm == "batchnorm":
            self.norm = nn.BatchNorm1d(config.num_input_channels)
        elif config.hidden_norm == "layernorm":
            self.norm = nn.LayerNorm(config.hidden_size)
        else:
            self.norm = nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = decoder_class(config.hidden_size, config.prediction_length)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        feature = self.encoder(values)
        return self.decoder(self.dropout(F.relu(self.norm(feature)))), feature


class TwoBranchBackbone(nn.Module):
    """The paper's student: one MLP on the trend, one on what remains; forecasts and features add up."""

    def __init__(self, config):
        super().__init__()
        self.kernel_size = config.moving_average
        self.seasonal = MLPBranch(config)
        self.trend = MLPBranch(config)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        trend = moving_average(values, self.kernel_size)
        seasonal_forecast, seasonal_feature = self.seasonal(values - trend)
        trend_forecast, trend_feature = self.trend(trend)
        return seasonal_forecast + trend_forecast, seasonal_feature + trend_feature


CORES = {"mlp": MLPBranch, "patch_mixer": PatchMixer}


class ResidualBackbone(nn.Module):
    """One linear map L -> S plus a core that corrects it; both start at zero, so untrained it forecasts the level."""

    def __init__(self, config):
        super().__init__()
        self.projection = ZeroLinear(config.context_length, config.prediction_length)
        self.core = CORES[config.core](config, decoder_class=ZeroLinear)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        correction, feature = self.core(values)
        return self.projection(values) + correction, feature


BACKBONES = {
    "two_branch": TwoBranchBackbone,
    "mlp": MLPBranch,
    "patch_mixer": PatchMixer,
    "linear": LinearBackbone,
    "periodic": PeriodicBackbone,
    "cycle": CycleBackbone,
    "residual": ResidualBackbone,
}
