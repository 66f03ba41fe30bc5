"""TimesNet: a series folded by its strongest periods into images, and these convolved (arXiv 2210.02186, section 3).

Each window has its own periods, as in the paper's equation 1, so that a forecast does not depend on the batch that it
is computed in. The paper's calendar embedding is left out: the values alone are read.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F
from transformers import initialization as init

from .configuration_timesnet import TimesNetConfig
from .modeling_forecaster import ForecasterModel


def strongest_periods(hidden: torch.Tensor, num_periods: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k strongest periods of each window `[B, T, d]` and their amplitudes, both `[B, k]` (equation 1).

    The amplitude is the mean over the features; frequency f, from 1 to T / 2 cycles a window, has period ceil(T / f).
    """
    steps = hidden.shape[1]
    amplitudes = torch.fft.rfft(hidden.float(), dim=1).abs().mean(dim=2)[:, 1:]
    strongest, index = amplitudes.topk(num_periods, dim=1)
    frequency = index + 1
    return (steps + frequency - 1) // frequency, strongest


class TimesNetInception(nn.Module):
    """The mean of 2D convolutions of widths 1, 3, 5, ..., `[R, in, H, W]` to `[R, out, H, W]`.

    All are linear, so that one convolution stands for them. Where the image is smaller than the kernel, what of it
    could only meet the zeros beyond the edges is left out.
    """

    def __init__(self, in_channels: int, out_channels: int, num_kernels: int):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 2 * reach + 1, padding=reach) for reach in range(num_kernels)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        kernel, bias = self.folded()
        widest = len(self.convolutions) - 1
        reach = [min(widest, size - 1) for size in image.shape[2:]]
        rows, columns = (slice(widest - part, widest + part + 1) for part in reach)
        return F.conv2d(image, kernel[:, :, rows, columns], bias, padding=reach)

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Kernel `[out, in, 2K - 1, 2K - 1]` and bias `[out]` that stand for all K convolutions."""
        widest = len(self.convolutions) - 1
        kernels = [F.pad(conv.weight, [widest - reach] * 4) for reach, conv in enumerate(self.convolutions)]
        return sum(kernels) / len(kernels), sum(conv.bias for conv in self.convolutions) / len(kernels)


class TimesNetBlock(nn.Module):
    """Folds each window by its periods, convolves, unfolds, adds up by amplitude; `[B, T, d]` to the same."""

    def __init__(self, config: TimesNetConfig):
        super().__init__()
        self.num_periods = config.num_periods
        self.inception1 = TimesNetInception(config.d_model, config.ffn_dim, config.num_kernels)
        self.inception2 = TimesNetInception(config.ffn_dim, config.d_model, config.num_kernels)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        periods, amplitudes = strongest_periods(hidden, self.num_periods)
        weights = amplitudes.softmax(dim=1).to(hidden.dtype)
        mixed = hidden
        for period in periods.unique().tolist():
            has_period = periods == period
            (rows,) = has_period.any(dim=1).nonzero(as_tuple=True)
            weight = (weights * has_period).sum(dim=1)[rows].view(-1, 1, 1)
            mixed = mixed.index_add(0, rows, weight * self.convolve(hidden[rows], period))
        return mixed

    def convolve(self, hidden: torch.Tensor, period: int) -> torch.Tensor:
        """`[R, T, d]`, zeros added up to whole cycles, as images of one cycle a row, and back (equation 4)."""
        steps = hidden.shape[1]
        series = F.pad(hidden.transpose(1, 2), (0, -steps % period))
        image = self.inception2(F.gelu(self.inception1(series.unflatten(2, (-1, period)))))
        return image.flatten(2)[..., :steps].transpose(1, 2)


def sinusoids(steps: int, width: int, device: torch.device) -> torch.Tensor:
    """The Transformer's position embedding, `[steps, width]`: sine and cosine in turn, from fast to slow."""
    rate = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000) / width))
    angle = torch.arange(steps, device=device).unsqueeze(1) * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


class TimesNetForPrediction(ForecasterModel):
    """Forecasts all channels at once: the history is stretched over the horizon, then refined block by block.

    The feature is `[B, C, min(d_model, L + S)]`, the last d_model steps of each channel before it is scaled back; the
    last hidden state `[B, L + S, d_model]`, the features of all steps, past and future, after the last block.
    """

    config_class = TimesNetConfig
    _no_split_modules = ["TimesNetBlock"]

    def __init__(self, config: TimesNetConfig):
        super().__init__(config)
        steps = config.context_length + config.prediction_length
        self.embedding = nn.Conv1d(
            config.num_input_channels, config.d_model, 3, padding=1, padding_mode="circular", bias=False
        )
        self.dropout = nn.Dropout(config.dropout)
        self.stretch = nn.Linear(config.context_length, steps)
        self.blocks = nn.ModuleList(TimesNetBlock(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.d_model)  # one for all blocks, as published
        self.projection = nn.Linear(config.d_model, config.num_input_channels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As published: convolutions by He's rule, which makes a block's first output several times torch's own."""
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            init.zeros_(module.bias)
        elif isinstance(module, nn.Conv1d):
            init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="leaky_relu")
        else:
            super()._init_weights(module)

    def forecast(self, values: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        hidden = self._embed(values)
        for block in self.blocks:
            hidden = self.norm(block(hidden))
        series = self.projection(hidden).transpose(1, 2)
        forecast = series[..., self.config.context_length :].transpose(1, 2)
        return forecast, {"feature": series[..., -self.config.d_model :], "last_hidden_state": hidden}

    def _embed(self, values: torch.Tensor) -> torch.Tensor:
        """`[B, L, C]` to `[B, L + S, d_model]`."""
        tokens = self.embedding(values.transpose(1, 2)).transpose(1, 2)
        positions = sinusoids(tokens.shape[1], tokens.shape[2], tokens.device).to(tokens.dtype)
        return self.stretch(self.dropout(tokens + positions).transpose(1, 2)).transpose(1, 2)
