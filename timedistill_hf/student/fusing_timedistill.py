"""The copy that serves: a trained student as matrix products, with all that is linear in the window folded in.

The paper's student (arXiv 2502.15016, section 4) takes the window's mean out, splits the rest by a moving average,
runs an MLP on each part and adds the mean to their sum. Up to the ReLU all of that is linear, and batch statistics are
fixed once training is done: the first layers of both MLPs are one matrix on the raw window, the second layers another.
"""

from itertools import chain
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from .backbones_timedistill import MLPBranch, moving_average
from .configuration_timedistill import MLP_ARCHITECTURES, TimeDistillConfig
from .folding_timedistill import Part, fold, follows_level, linear_map_of, merge_linear, of_centred, student_parts
from .modeling_timedistill import TimeDistillForPrediction
from .normalization_timedistill import REVIN_EPS, fill_missing


WIDTH_MULTIPLE = 16  # numbers in a cache line, and in a vector register with AVX-512
ONLY_FORECASTS = "a fused student only forecasts: train the student that it was made from, then fuse() that again"


class FusedOutput(NamedTuple):
    """Output of a fused student: at batch 1 a `ModelOutput` alone takes a thirtieth of the time.

    Args:
        prediction_outputs: `[B, S, C]`, the forecast on the scale of `past_values`.
    """

    prediction_outputs: torch.Tensor


class FusedStudent(nn.Module):
    """What `fuse` returns: it takes windows as the student does and gives `prediction_outputs`, and nothing else.

    Args:
        config: the student's.
        parts: each maps `[B, C, L]` to its share of the forecast, `[B, C, S]`.
        follows_level: whether what is added to all steps of a window is added to its forecast, too.
    """

    def __init__(self, config: TimeDistillConfig, parts: list[nn.Module], follows_level: bool = False) -> None:
        super().__init__()
        self.config = config
        self.follows_level = follows_level
        self.parts = nn.ModuleList(parts)
        # what an ordinary window has: at batch 1 asking the configuration takes as long as a product
        self._context_length = config.context_length
        self._channels = config.num_input_channels if config.is_channel_bound else None
        self.register_buffer("_anchor", torch.empty(0, dtype=torch.float64))  # has the device and precision of all
        super().requires_grad_(False)
        super().train(False)

    @property
    def device(self) -> torch.device:
        return self._anchor.device

    @property
    def dtype(self) -> torch.dtype:
        return self._anchor.dtype

    def num_values(self) -> int:
        """How many numbers it holds."""
        return sum(tensor.numel() for tensor in chain(self.parameters(), self.buffers()))

    def train(self, mode: bool = True) -> "FusedStudent":
        """Refused where `mode` is true; it always is in evaluation mode."""
        if mode:
            raise RuntimeError(ONLY_FORECASTS)
        return self

    def requires_grad_(self, requires_grad: bool = True) -> "FusedStudent":
        """Refused where `requires_grad` is true."""
        if requires_grad:
            raise RuntimeError(ONLY_FORECASTS)
        return self

    def forward(self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None) -> FusedOutput:
        """The forecast `[B, S, C]` for `past_values` `[B, L, C]`, missing steps interpolated as the student does.

        Raises:
            ValueError: `past_values` does not have the configured length or channel count.
        """
        shape = past_values.shape
        if len(shape) != 3 or shape[1] != self._context_length or shape[2] != (self._channels or shape[2]):
            self.config.check_window(shape)
        if past_observed_mask is not None:
            past_values = fill_missing(past_values, past_observed_mask)
        values = past_values.transpose(1, 2).to(self.dtype).contiguous()
        return FusedOutput(self.forecast_channels(values).transpose(1, 2).to(past_values.dtype))

    def forecast_channels(self, values: torch.Tensor) -> torch.Tensor:
        """The forecast `[B, C, S]` for whole windows `[B, C, L]`."""
        forecast = None
        for part in self.parts:
            forecast = part(values) if forecast is None else forecast + part(values)
        return forecast


class FusedLinear(nn.Module):
    """Parts that are affine in their window: `x @ matrix.T + bias`."""

    def __init__(self, parts: list[Part], config: TimeDistillConfig) -> None:
        super().__init__()
        matrix, bias = linear_map_of(parts, config)
        self.register_buffer("matrix", matrix)
        self.register_buffer("bias", bias)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return F.linear(values, self.matrix, self.bias)


class FusedMLP(nn.Module):
    """One or two MLP branches as products on the window itself.

    `hidden = gain * norm(x @ encoder.T) + offset` with gain `[C, H]` of a batch norm, `[H]` of a layer norm, absent
    without; the forecast is `relu(hidden) @ decoder.T + decoder_bias`. The level that is given back is two hidden
    units more, since `relu(a) - relu(-a) = a`, which is quicker than a product of its own. Where the hidden layer is
    normalised within itself it is that product, `x @ linear.T`.

    Args:
        part: an MLP or a two-branch MLP.
        is_centred: whether the windows that it is given have had their level (and scale) taken out, which then is
            given back elsewhere.
    """

    def __init__(self, part: Part, is_centred: bool):
        super().__init__()
        backbone = part.backbone
        is_split = part.config.architecture == "two_branch"
        branches = [backbone.seasonal, backbone.trend] if is_split else [backbone]
        encoders = [branch.encoder.weight for branch in branches]
        if is_split:
            average = _averaging(part.config.context_length, backbone.kernel_size)
            encoders = [encoders[0] - encoders[0] @ average, encoders[1] @ average]
        encoder = torch.cat(encoders)
        weight = 1.0 if is_centred else part.weight
        decoder = weight * torch.cat([branch.decoder.weight for branch in branches], dim=1)
        decoder_bias = sum(branch.decoder.bias for branch in branches)
        gain, offset = _hidden_norm(branches, part.config.hidden_norm)
        linear = None
        if not is_centred and part.config.normalization != "none":
            encoder = of_centred(encoder, part.level)
            level = weight * part.level.unsqueeze(0)
            if part.config.hidden_norm == "layernorm":
                linear = level
            else:
                encoder, gain, offset, decoder = _with_level(encoder, gain, offset, decoder, level)
        self.num_branches = len(branches)
        self.layer_norm_eps = branches[0].norm.eps if part.config.hidden_norm == "layernorm" else None
        self.register_buffer("bias", _encoder_bias(branches) if part.config.hidden_norm == "layernorm" else None)
        # `[out, in]`, but lying as products read them: at batch 1 that is worth a tenth of the time
        self.register_buffer("encoder", encoder.T.contiguous().T)
        self.register_buffer("gain", gain)
        self.register_buffer("offset", offset)
        self.register_buffer("decoder", decoder.T.contiguous().T)
        self.register_buffer("decoder_bias", weight * decoder_bias)
        self.register_buffer("linear", linear)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        hidden = F.linear(values, self.encoder)
        if self.layer_norm_eps is not None:
            branches = hidden.add_(self.bias).unflatten(-1, (self.num_branches, -1))
            hidden = F.layer_norm(branches, branches.shape[-1:], eps=self.layer_norm_eps).flatten(-2)
        if self.gain is not None:
            hidden = hidden.mul_(self.gain)
        forecast = F.linear(hidden.add_(self.offset).relu_(), self.decoder, self.decoder_bias)
        return forecast if self.linear is None else forecast.add_(F.linear(values, self.linear))


class NormalizedPart(nn.Module):
    """What cannot be folded into a first product, RevIN's scale and patch mixers: normalised and undone as ever.

    As [`WindowNormalization`] does it, over windows that lie channel by channel.
    """

    def __init__(self, part: Part):
        super().__init__()
        normalization = part.normalization
        self.kind = normalization.kind
        self.register_buffer("gain", normalization.weight.unsqueeze(1) if normalization.affine else None)
        self.register_buffer("shift", normalization.bias.unsqueeze(1) if normalization.affine else None)
        self.weight = part.weight
        self.is_mlp = part.config.architecture in MLP_ARCHITECTURES
        self.backbone = FusedMLP(part, is_centred=True) if self.is_mlp else part.backbone

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.kind == "none":
            return self.weight * self._centred(values)
        if self.kind != "revin":
            level = values[..., -1:] if self.kind == "last" else values.mean(dim=-1, keepdim=True)
            return self.weight * (self._centred(values - level) + level)
        level = values.mean(dim=-1, keepdim=True)
        centred = values - level
        # torch's own variance takes ten times as long
        scale = torch.sqrt(centred.square().mean(dim=-1, keepdim=True) + REVIN_EPS)
        if self.gain is None:
            return self.weight * torch.addcmul(level, self._centred(centred / scale), scale)
        forecast = self._centred(torch.addcmul(self.shift, centred, self.gain / scale))
        scale = scale / (self.gain + REVIN_EPS**2)
        return self.weight * torch.addcmul(level - self.shift * scale, forecast, scale)

    def _centred(self, values: torch.Tensor) -> torch.Tensor:
        return self.backbone(values) if self.is_mlp else self.backbone(values)[0]


@torch.no_grad()
def fuse(model: TimeDistillForPrediction) -> FusedStudent:
    """The inference copy of a trained student in the smallest form; its forecasts are the student's to 1e-5.

    Centring, moving average and both branches become two matrix products, every affine form one; see [`fold`] for
    what happens to combinations. RevIN's scale, the gain of a per-channel batch norm, a layer norm, patch mixers and
    missing values are computed as they are. The copy does not follow the student's weights: fuse again when they have
    changed.

    Args:
        model: in training or evaluation mode; it stays as it is. One in half precision gives a float32 copy.

    Raises:
        ValueError: it is no student.
    """
    if not _is_student(model):
        raise ValueError(f"{type(model).__name__} cannot be fused: expected a TimeDistillForPrediction")
    dtype = torch.float64 if model.dtype == torch.float64 else torch.float32
    parts = student_parts(fold(model, torch.float64))
    if any(part.has_linear_path for part in parts):
        parts = merge_linear(parts)
    parts = [_fused_part(part) for part in parts] or [FusedLinear([], model.config)]
    return FusedStudent(model.config, parts, follows_level(model)).to(dtype).to(model.device)


def inference_copy(model: nn.Module) -> nn.Module:
    """What to forecast with: of a student a new fused copy, of any other model the model itself."""
    return model.fuse() if _is_student(model) else model


def _is_student(model: nn.Module) -> bool:
    """Known by its configuration: where remote code is loaded twice its classes are others of the same name."""
    return isinstance(model, PreTrainedModel) and model.config.model_type == TimeDistillConfig.model_type


def _fused_part(part: Part) -> nn.Module:
    if part.is_affine:
        return FusedLinear([part], part.config)
    if part.is_scaled or part.config.architecture not in MLP_ARCHITECTURES:
        return NormalizedPart(part)
    return FusedMLP(part, is_centred=False)


def _averaging(length: int, kernel_size: int) -> torch.Tensor:
    """`[L, L]`: this matrix times a window is its moving average."""
    return moving_average(torch.eye(length, dtype=torch.float64).unsqueeze(0), kernel_size).squeeze(0).T


def _encoder_bias(branches: list[MLPBranch]) -> torch.Tensor:
    return torch.cat([branch.encoder.bias for branch in branches])


def _hidden_norm(branches: list[MLPBranch], kind: str) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Gain and offset of the hidden layer, of all branches side by side."""
    if kind == "none":
        return None, _encoder_bias(branches)
    if kind == "layernorm":
        return tuple(torch.cat([getattr(branch.norm, name) for branch in branches]) for name in ("weight", "bias"))
    gains, offsets = [], []
    for branch in branches:
        norm = branch.norm
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        gains.append(gain.unsqueeze(1).expand(-1, branch.encoder.out_features))
        offsets.append(torch.outer(gain, branch.encoder.bias) + (norm.bias - gain * norm.running_mean).unsqueeze(1))
    return torch.cat(gains, dim=1), torch.cat(offsets, dim=1)


def _with_level(
    encoder: torch.Tensor, gain: torch.Tensor | None, offset: torch.Tensor, decoder: torch.Tensor, level: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor]:
    """Two hidden units more, the level `[1, L]` and its opposite, and idle ones up to a width that products like."""
    idle = -(len(encoder) + 2) % WIDTH_MULTIPLE
    encoder = torch.cat([encoder, level, -level, level.new_zeros(idle, level.shape[1])])
    to_steps = level.new_tensor([1.0, -1.0] + idle * [0.0]).expand(len(decoder), -1)
    if gain is not None:
        gain = F.pad(gain, (0, idle + 2), value=1.0)
    return encoder, gain, F.pad(offset, (0, idle + 2)), torch.cat([decoder, to_steps], dim=1)


__all__ = ["FusedOutput", "FusedStudent", "fuse", "inference_copy"]
