"""TimeMixer: a window at several scales, seasonal parts mixed upwards, trends downwards, every scale a forecast.

After arXiv 2405.14616, section 3, in its channel-independent form for forecasting: each channel is a series of its own
in all but the normalisation. Hidden states are `[B C, d_model, T]`, time last, where all but the feed-forward network
work. The values alone are read, no calendar.
"""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import initialization as init

from .configuration_time_mixer import TimeMixerConfig
from .modeling_forecaster import ForecasterModel, window_statistics


class TimeMixerAffine(nn.Module):
    """RevIN's learnt factor and shift of each channel, `[B, T, C]` to the same, and the way back."""

    def __init__(self, num_channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_channels))
        self.bias = nn.Parameter(torch.empty(num_channels))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * self.weight + self.bias

    def inverse(self, values: torch.Tensor) -> torch.Tensor:
        return (values - self.bias) / (self.weight + 1e-10)


class TimeMixerResampling(nn.Sequential):
    """Two linear maps along time with a GELU between them, `[..., from]` to `[..., to]` steps (equations 4 and 5)."""

    def __init__(self, from_steps: int, to_steps: int):
        super().__init__(nn.Linear(from_steps, to_steps), nn.GELU(), nn.Linear(to_steps, to_steps))


class TimeMixerBlock(nn.Module):
    """Past-decomposable mixing (section 3.2): one list of `[R, d_model, T_m]`, fine to coarse, to another."""

    def __init__(self, config: TimeMixerConfig):
        super().__init__()
        self.moving_average = config.moving_average
        finer, coarser = config.lengths[:-1], config.lengths[1:]
        self.upwards = nn.ModuleList(TimeMixerResampling(fine, coarse) for fine, coarse in zip(finer, coarser))
        self.downwards = nn.ModuleList(TimeMixerResampling(coarse, fine) for fine, coarse in zip(finer, coarser))
        self.fc1 = nn.Linear(config.d_model, config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.d_model)

    def forward(self, scales: list[torch.Tensor]) -> list[torch.Tensor]:
        trends = [self.trend(hidden) for hidden in scales]
        seasonals = [hidden - trend for hidden, trend in zip(scales, trends)]
        for m, resample in enumerate(self.upwards):
            seasonals[m + 1] = seasonals[m + 1] + resample(seasonals[m])
        for m, resample in reversed(list(enumerate(self.downwards))):
            trends[m] = trends[m] + resample(trends[m + 1])
        return [
            hidden + self.feed_forward(seasonal + trend) for hidden, seasonal, trend in zip(scales, seasonals, trends)
        ]

    def trend(self, hidden: torch.Tensor) -> torch.Tensor:
        """The moving average along time, the ends repeated."""
        margin = self.moving_average // 2
        return F.avg_pool1d(F.pad(hidden, (margin, margin), mode="replicate"), self.moving_average, stride=1)

    def feed_forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(hidden.transpose(1, 2)))).transpose(1, 2)


class TimeMixerForPrediction(ForecasterModel):
    """Forecasts each channel from its window at M + 1 scales, each normalised; all scales' forecasts are added up.

    The feature is `[B, C, S]`, that sum before it is scaled back.
    """

    config_class = TimeMixerConfig
    _no_split_modules = ["TimeMixerBlock"]

    def __init__(self, config: TimeMixerConfig):
        super().__init__(config)
        affine = [config.num_input_channels] * len(config.lengths) if config.is_channel_bound else []
        self.affine = nn.ModuleList(map(TimeMixerAffine, affine))
        self.embedding = nn.Conv1d(1, config.d_model, 3, padding=1, padding_mode="circular", bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(TimeMixerBlock(config) for _ in range(config.num_hidden_layers))
        self.predictors = nn.ModuleList(nn.Linear(steps, config.prediction_length) for steps in config.lengths)
        self.projection = nn.Linear(config.d_model, 1)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As published: the embedding by He's rule, linear layers as torch does."""
        if isinstance(module, nn.Conv1d):
            init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="leaky_relu")
        elif isinstance(module, TimeMixerAffine):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        else:
            super()._init_weights(module)

    def forecast(self, values: list[torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        hidden = [
            self.dropout(self.embedding(series.transpose(1, 2).reshape(-1, 1, series.shape[1]))) for series in values
        ]
        for block in self.blocks:
            hidden = block(hidden)
        # future-multipredictor mixing (section 3.3)
        forecasts = [predict(state) for predict, state in zip(self.predictors, hidden)]
        total = sum(self.projection(forecast.transpose(1, 2)).squeeze(2) for forecast in forecasts)
        feature = total.unflatten(0, (len(values[0]), -1))
        forecast = feature.transpose(1, 2)
        if self.config.is_channel_bound:
            forecast = self.affine[0].inverse(forecast)
        return forecast, {"feature": feature}

    def normalize(
        self, values: torch.Tensor, observed: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """What the finest scale is normalised by, and the normalised window at every scale, `[B, T_m, C]`."""
        mean, scale, centred = window_statistics(values, observed)
        series, statistics = [centred + mean], [(mean, scale)]
        for _ in range(self.config.num_scales):
            pooled = F.avg_pool1d(series[-1].transpose(1, 2), self.config.pooling_window).transpose(1, 2)
            series.append(pooled)
            statistics.append(window_statistics(pooled, None)[:2])
        if self.config.scaling is None:
            return torch.zeros_like(mean), torch.ones_like(mean), series
        series = [(part - loc) / spread for part, (loc, spread) in zip(series, statistics)]
        if self.config.is_channel_bound:
            series = [affine(part) for affine, part in zip(self.affine, series)]
        return mean, scale, series
