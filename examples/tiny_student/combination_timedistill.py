"""Several students as one: each centres the window in its own way, and their forecasts are averaged."""

import torch
from torch import nn

from .backbones_timedistill import BACKBONES
from .normalization_timedistill import WindowNormalization, forecast_window


class CombinationMember(nn.Module):
    """One form with its own normalization: `[B, C, L]` to the forecast `[B, C, S]` and the feature, if it has one."""

    def __init__(self, config):
        super().__init__()
        self.normalization = WindowNormalization(config)
        self.backbone = BACKBONES[config.architecture](config)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        dtype = next(self.backbone.parameters()).dtype
        forecast, feature, _, _ = forecast_window(values.transpose(1, 2), self.normalization, self.backbone, dtype)
        return forecast.transpose(1, 2), feature


class CombinationBackbone(nn.Module):
    """`sum_k weights[k] * member_k`; features of the members that have one are concatenated along D.

    `weights` `[K]` is a persistent buffer: not trained by gradients, saved with the model, uniform at first.
    """

    def __init__(self, config):
        super().__init__()
        self.members = nn.ModuleList(CombinationMember(member) for member in config.member_configs())
        self.register_buffer("weights", torch.full((len(self.members),), 1 / len(self.members)))

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        outputs = [member(values) for member in self.members]
        forecast = sum(weight * output for weight, (output, _) in zip(self.weights, outputs))
        features = [feature for _, feature in outputs if feature is not None]
        return forecast, torch.cat(features, dim=-1) if features else None
