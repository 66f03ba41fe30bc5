"""What maps a centred window to its forecast: the paper's two-branch MLP, the forms beside it, and their sum.

Every backbone takes `[B, C, L]` and returns the forecast `[B, C, S]` and the feature `[B, C, D]` (`None` where there
is no hidden layer). The weights are shared by all channels; but for a batch norm no parameter belongs to a channel,
and none to a calendar position.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .normalization_timedistill import WindowNormalization, forecast_window


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


class MixerLayer(nn.Module):
    """Two residual MLPs on `[.., N, D]`: one across the N patches, one across the D numbers of each patch."""

    def __init__(self, num_patches: int, hidden_size: int):
        super().__init__()
        self.patch_norm = nn.LayerNorm(hidden_size)
        self.patch_in = nn.Linear(num_patches, 2 * num_patches)
        self.patch_out = nn.Linear(2 * num_patches, num_patches)
        self.content_norm = nn.LayerNorm(hidden_size)
        self.content_in = nn.Linear(hidden_size, 2 * hidden_size)
        self.content_out = nn.Linear(2 * hidden_size, hidden_size)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        across = self.patch_out(F.relu(self.patch_in(self.patch_norm(state).transpose(-1, -2))))
        state = state + across.transpose(-1, -2)
        return state + self.content_out(F.relu(self.content_in(self.content_norm(state))))


class PatchMixer(nn.Module):
    """The last N = L // patch_length patches of `[B, C, L]`, mixed; `[B, C, S]` and the flattened state `[B, C, N D]`.

    The layers of TSMixer on patches of one channel (Chen et al. 2023, arXiv 2303.06053; Ekambaram et al., KDD 2023,
    arXiv 2306.09364): no attention and no parameter that belongs to a channel. ReLU and one dropout, before the output
    layer, take three quarters of the time of theirs. `decoder_class` is the output layer's.
    """

    def __init__(self, config, decoder_class: type[nn.Linear] = nn.Linear):
        super().__init__()
        self.patch_length = config.patch_length
        self.num_patches = config.context_length // config.patch_length
        self.embedding = nn.Linear(config.patch_length, config.hidden_size)
        self.position = nn.Parameter(torch.zeros(self.num_patches, config.hidden_size))
        self.layers = nn.ModuleList(
            MixerLayer(self.num_patches, config.hidden_size) for _ in range(config.num_hidden_layers)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = decoder_class(self.num_patches * config.hidden_size, config.prediction_length)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        recent = values[..., -self.num_patches * self.patch_length :]
        state = self.embedding(recent.unflatten(-1, (self.num_patches, self.patch_length))) + self.position
        for layer in self.layers:
            state = layer(state)
        feature = state.flatten(-2)
        return self.decoder(self.dropout(feature)), feature


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
