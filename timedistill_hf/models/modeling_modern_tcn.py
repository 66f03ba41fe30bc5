"""ModernTCN: convolution over time, then over features, then over channels (Luo and Wang, ICLR 2024).

Between stem and head all is laid out as `[C, D, B, N]` (channels, features, windows, patches): both feed-forward
networks are then batched matrix products, and a row holds all that a batch normalisation takes together.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from .configuration_modern_tcn import ModernTCNConfig
from .modeling_forecaster import ForecasterModel, uniform


class ModernTCNDropout(nn.Dropout):
    """Dropout that on a CPU draws 16 bits a value: torch's own generator takes a fifth of a training step there."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0 or hidden.device.type != "cpu":
            return super().forward(hidden)
        drawn = torch.empty(-(-hidden.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = drawn.view(torch.int16)[: hidden.numel()].view(hidden.shape)
        kept = (bits >= round(self.p * 2**16) - 2**15).to(hidden.dtype)
        return hidden * kept.mul_(1 / (1 - self.p))


class ModernTCNLinear(nn.Module):
    """A linear map for each of G groups, `[G, in, R]` to `[G, out, R]`: a grouped convolution of width 1."""

    def __init__(self, groups: int, in_features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, out_features, in_features))
        self.bias = nn.Parameter(torch.empty(groups, out_features, 1))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.bias, self.weight.expand(len(hidden), -1, -1), hidden)


class ModernTCNFeedForward(nn.Module):
    """Two linear maps in each group, `[G, width, R]` to the same."""

    def __init__(self, config: ModernTCNConfig, groups: int, width: int):
        super().__init__()
        self.fc1 = ModernTCNLinear(groups, width, config.ffn_ratio * width)
        self.fc2 = ModernTCNLinear(groups, config.ffn_ratio * width, width)
        self.dropout = ModernTCNDropout(config.dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.fc2(F.gelu(self.dropout(self.fc1(hidden)))))


class ModernTCNConvolution(nn.Module):
    """Depthwise convolution over time: a large and a small kernel, each normalised; their sum normalised again.

    In evaluation mode all five are one convolution, by the kernel and bias of [`~ModernTCNConvolution.folded`].
    """

    def __init__(self, config: ModernTCNConfig):
        super().__init__()
        rows = config.num_input_channels * config.d_model
        self.large_kernel = nn.Parameter(torch.empty(rows, config.large_kernel_size))
        self.large_norm = nn.BatchNorm1d(rows)
        self.small_kernel = nn.Parameter(torch.empty(rows, config.small_kernel_size))
        self.small_norm = nn.BatchNorm1d(rows)
        self.norm = nn.BatchNorm1d(config.d_model)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`[C, D, B, N]` to `[C, D, B N]`."""
        rows, shape = hidden.flatten(0, 1), (*hidden.shape[:2], -1)
        if not self.training:
            kernel, bias = self.folded()
            return (depthwise_convolution(rows, kernel) + bias.view(-1, 1, 1)).reshape(shape)
        large, small = depthwise_convolution(rows, self.kernels()).reshape(2, 1, len(rows), -1)
        return self.norm((self.large_norm(large) + self.small_norm(small)).view(shape))

    def kernels(self) -> torch.Tensor:
        """Both kernels at the large one's width, `[2, C D, K]`."""
        margin = (self.large_kernel.shape[1] - self.small_kernel.shape[1]) // 2
        return torch.stack([self.large_kernel, F.pad(self.small_kernel, (margin, margin))])

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Kernel `[C D, K]` and bias `[C D]` that stand for both branches and all three normalisations."""
        scales, shifts = map(torch.stack, zip(scale_and_shift(self.large_norm), scale_and_shift(self.small_norm)))
        kernel, bias = (scales.unsqueeze(-1) * self.kernels()).sum(dim=0), shifts.sum(dim=0)
        scale, shift = (part.repeat(len(bias) // len(part)) for part in scale_and_shift(self.norm))
        return kernel * scale.unsqueeze(1), bias * scale + shift


def scale_and_shift(norm: nn.BatchNorm1d) -> tuple[torch.Tensor, torch.Tensor]:
    """What a batch normalisation multiplies by and adds in evaluation mode."""
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def depthwise_convolution(rows: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Convolve `[R, B, N]` with a kernel of each row, `[..., R, K]`, zeros beyond the ends: `[..., R, B, N]`.

    By FFT, on a CPU several times as fast as a grouped convolution, forward and backward. What wraps around falls into
    the margin that is cut off; a length that is a multiple of 32 has no large prime factor to slow the FFT down.
    """
    steps, margin = rows.shape[-1], kernel.shape[-1] // 2
    length = math.ceil((steps + margin) / 32) * 32
    spectrum = torch.fft.rfft(kernel.float().flip(-1), length).unsqueeze(-2) * torch.fft.rfft(rows.float(), length)
    return torch.fft.irfft(spectrum, length)[..., margin : margin + steps].to(rows.dtype)


class ModernTCNBlock(nn.Module):
    """Convolution over time, then a network that mixes features and one that mixes channels, around a residual."""

    def __init__(self, config: ModernTCNConfig):
        super().__init__()
        self.convolution = ModernTCNConvolution(config)
        self.feature_ffn = ModernTCNFeedForward(config, config.num_input_channels, config.d_model)
        self.channel_ffn = ModernTCNFeedForward(config, config.d_model, config.num_input_channels)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        mixed = self.feature_ffn(self.convolution(hidden))
        mixed = self.channel_ffn(mixed.transpose(0, 1)).transpose(0, 1)
        return hidden + mixed.unflatten(-1, hidden.shape[2:])


class ModernTCNForPrediction(ForecasterModel):
    """Forecasts all channels at once from overlapping patches of each.

    The last hidden state is `[B, C, D, N]`, the features of every patch after the last block.
    """

    config_class = ModernTCNConfig
    _no_split_modules = ["ModernTCNBlock"]

    def __init__(self, config: ModernTCNConfig):
        super().__init__(config)
        self.stem = ModernTCNLinear(1, config.patch_length, config.d_model)
        self.stem_norm = nn.BatchNorm1d(config.d_model)
        self.blocks = nn.ModuleList(ModernTCNBlock(config) for _ in range(config.num_blocks))
        self.head = nn.Linear(config.d_model * config.num_patches, config.prediction_length)
        self.head_dropout = ModernTCNDropout(config.head_dropout)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """torch's own initialisation of convolutions and linear layers."""
        if isinstance(module, ModernTCNLinear):
            uniform(module.weight.shape[-1], module.weight, module.bias)
        elif isinstance(module, ModernTCNConvolution):
            for kernel in (module.large_kernel, module.small_kernel):
                uniform(kernel.shape[-1], kernel)
        elif isinstance(module, nn.BatchNorm1d):
            PreTrainedModel._init_weights(self, module)
        else:
            super()._init_weights(module)

    def forecast(self, values: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        hidden = self._embed(values)
        for block in self.blocks:
            hidden = block(hidden)
        hidden = hidden.permute(2, 0, 1, 3).contiguous()
        return self.head_dropout(self.head(hidden.flatten(2))).transpose(1, 2), {"last_hidden_state": hidden}

    def _embed(self, values: torch.Tensor) -> torch.Tensor:
        """`[B, L, C]` to the features `[C, D, B, N]` of patches; the last value fills up the last patch."""
        overlap = self.config.patch_length - self.config.patch_stride
        series = F.pad(values.permute(2, 0, 1), (0, overlap), mode="replicate")
        patches = series.unfold(-1, self.config.patch_length, self.config.patch_stride)
        hidden = self.stem_norm(self.stem(patches.permute(0, 3, 1, 2).flatten(2)))
        return hidden.unflatten(-1, patches.shape[1:3])
