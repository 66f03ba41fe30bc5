"""What maps a centred window to its forecast: the two-branch MLP of the paper, the plain MLP, one linear layer.

Every backbone takes `[B, C, L]` and returns the forecast `[B, C, S]` and the feature `[B, C, D]` (`None` where there
is no hidden layer). The weights are shared by all channels.
"""

import torch
from torch import nn
from torch.nn import functional as F


def moving_average(values: torch.Tensor, kernel_size: int) -> torch.Tensor:
    """Centred moving average along the last axis of `[B, C, L]`, the edge values repeated to keep the length."""
    margin = (kernel_size - 1) // 2
    padded = F.pad(values, (margin, margin), mode="replicate")
    return F.avg_pool1d(padded, kernel_size, stride=1)


class MLPBranch(nn.Module):
    """Linear L -> D, normalisation, ReLU, linear D -> S; the feature is the first layer's output (steps 3 to 5)."""

    def __init__(self, config):
        super().__init__()
        self.encoder = nn.Linear(config.context_length, config.hidden_size)
        if config.hidden_norm == "batchnorm":
            self.norm = nn.BatchNorm1d(config.num_input_channels)
        elif config.hidden_norm == "layernorm":
            self.norm = nn.LayerNorm(config.hidden_size)
        else:
            self.norm = nn.Identity()
        self.decoder = nn.Linear(config.hidden_size, config.prediction_length)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        feature = self.encoder(values)
        return self.decoder(F.relu(self.norm(feature))), feature


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


class ZeroLinear(nn.Linear):
    """A linear map that starts at zero: random weights on directions in which windows hardly vary stay for good."""


class LinearBackbone(nn.Module):
    """One linear map L -> S, the control that every claim must pass; untrained it forecasts the window's mean."""

    def __init__(self, config):
        super().__init__()
        self.projection = ZeroLinear(config.context_length, config.prediction_length)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.projection(values), None


BACKBONES = {"two_branch": TwoBranchBackbone, "mlp": MLPBranch, "linear": LinearBackbone}
