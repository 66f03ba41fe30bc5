"""The forms that are linear in the centred window: one map, one map shared by the phases, a cycle and one map.

None has a parameter that belongs to a channel or to a calendar position.
"""

import math

import torch
from torch import nn


class ZeroLinear(nn.Linear):
    """A linear map that starts at zero: random weights on directions in which windows hardly vary stay for good."""


class MeanLinear(nn.Linear):
    """A linear map without bias that starts as the mean of its inputs."""


class SmoothingConv(nn.Conv1d):
    """A convolution of one channel without bias that starts with small weights, beside the identity."""

    def as_matrix(self, length: int) -> torch.Tensor:
        """`[L, L]`: a window times this matrix is the window convolved, zeros around it, several times faster."""
        step = torch.arange(length, device=self.weight.device)
        tap = step.unsqueeze(1) - step + self.padding[0]
        inside = (tap >= 0) & (tap < self.kernel_size[0])
        return torch.where(inside, self.weight.flatten()[tap.clamp(0, self.kernel_size[0] - 1)], 0)


class LinearBackbone(nn.Module):
    """One linear map L -> S, the control that every claim must pass; untrained it forecasts the window's level."""

    def __init__(self, config):
        super().__init__()
        self.projection = ZeroLinear(config.context_length, config.prediction_length)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.projection(values), None


class PeriodicBackbone(nn.Module):
    """One map from past periods to future periods, shared by all phases; untrained it forecasts each phase's mean.

    The window is smoothed by a residual convolution first, so that a phase also sees its neighbours: SparseTSF, Lin et
    al., ICML 2024, arXiv 2405.00946. Steps before the last `L // period` whole periods only reach the smoothing.
    """

    def __init__(self, config):
        super().__init__()
        self.period = config.period
        self.prediction_length = config.prediction_length
        self.past_periods = config.context_length // config.period
        margin = config.period // 2
        self.smoothing = SmoothingConv(1, 1, 2 * margin + 1, padding=margin, bias=False)
        self.periods = MeanLinear(self.past_periods, math.ceil(config.prediction_length / config.period), bias=False)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, None]:
        smoothed = values + values @ self.smoothing.as_matrix(values.shape[-1])
        recent = smoothed[..., -self.past_periods * self.period :]
        phases = recent.unflatten(-1, (self.past_periods, self.period)).transpose(-1, -2)
        forecast = self.periods(phases).transpose(-1, -2).flatten(-2)
        return forecast[..., : self.prediction_length], None


class CycleBackbone(nn.Module):
    """The window's own cycle, continued, and one linear map of what remains; untrained it forecasts the mean cycle.

    CycleNet (Lin et al., NeurIPS 2024, arXiv 2409.18479) learns a cycle for each channel and calendar position; here
    it is a learnt weighted mean over the window's last `L // period` whole periods, so that it fits any channel.
    """

    def __init__(self, config):
        super().__init__()
        self.period = config.period
        self.context_length = config.context_length
        self.prediction_length = config.prediction_length
        self.past_periods = config.context_length // config.period
        self.logits = nn.Parameter(torch.zeros(self.past_periods))
        self.projection = ZeroLinear(config.context_length, config.prediction_length)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, None]:
        recent = values[..., -self.past_periods * self.period :].unflatten(-1, (self.past_periods, self.period))
        cycle = (self.logits.softmax(0).unsqueeze(-1) * recent).sum(-2)
        # phase 0 follows the window's last step
        phase = torch.arange(-self.context_length, self.prediction_length, device=values.device) % self.period
        past, future = cycle[..., phase].split([self.context_length, self.prediction_length], dim=-1)
        return future + self.projection(values - past), None
