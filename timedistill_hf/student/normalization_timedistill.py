"""What is done to a window before the backbone and undone after it: missing values, centring, scaling."""

import torch
from torch import nn


REVIN_EPS = 1e-5


def fill_missing(values: torch.Tensor, observed: torch.Tensor, dim: int = 1) -> torch.Tensor:
    """Interpolate missing steps linearly in time, within the window only, so that no later value is used.

    Before the first and after the last observed step the nearest one is repeated; a channel with none becomes 0. ONNX
    knows all operations that this takes.

    Args:
        values: windows, such as `[B, L, C]`; missing entries may hold anything, NaN included.
        observed: of the same shape, true or 1 where the value was observed.
        dim: that of time.
    """
    observed = observed.bool()
    length = values.shape[dim]
    step = torch.arange(length, device=values.device).view(-1, *[1] * (values.ndim - 1 - dim)).expand(values.shape)
    count = observed.cumsum(dim)
    left, right = count.clamp(min=1), torch.minimum(count + 1, count.narrow(dim, -1, 1))

    # the observed steps and their values side by side, the first in slot 1
    slot = torch.where(observed, count, 0)
    known = torch.where(observed, values, torch.zeros_like(values))
    room = [*values.shape[:dim], length + 1, *values.shape[dim + 1 :]]
    steps = step.new_zeros(room).scatter(dim, slot, step)
    known = values.new_zeros(room).scatter(dim, slot, known)

    left_step, left_value = steps.gather(dim, left), known.gather(dim, left)
    run = (steps.gather(dim, right) - left_step).clamp(min=1)
    fraction = (step - left_step).to(values.dtype) / run.to(values.dtype)
    return torch.where(observed, values, left_value + (known.gather(dim, right) - left_value) * fraction)


def level_weights(config) -> torch.Tensor:
    """`[L]`, float64: its product with a window is the level that the normalization takes out."""
    level = torch.zeros(config.context_length, dtype=torch.float64)
    if config.normalization == "last":
        level[-1] = 1
    elif config.normalization != "none":
        level[:] = 1 / len(level)
    return level


class WindowNormalization(nn.Module):
    """Takes level (and scale) out of each window and gives them back to the forecast (step 1 and 6 of the student).

    With `"revin"`, mean and population standard deviation (epsilon inside the root) and, if asked for, a learnt scale
    and shift per channel: Kim et al., "Reversible Instance Normalization", ICLR 2022.
    """

    def __init__(self, config):
        super().__init__()
        # the members of a combination take out what they want themselves
        self.kind = "none" if config.architecture == "combination" else config.normalization
        self.affine = self.kind == "revin" and config.revin_affine
        self.input_noise = 0.0 if config.architecture == "combination" else config.input_noise
        if self.affine:
            self.weight = nn.Parameter(torch.ones(config.num_input_channels))
            self.bias = nn.Parameter(torch.zeros(config.num_input_channels))

    def statistics(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Level and scale of each window, both `[B, 1, C]`."""
        one = torch.ones_like(values[:, :1])
        if self.kind == "none":
            return torch.zeros_like(one), one
        if self.kind == "last":
            return values[:, -1:], one
        mean = values.mean(dim=1, keepdim=True)
        if self.kind == "mean":
            return mean, one
        # torch's own variance takes ten times as long
        return mean, torch.sqrt((values - mean).square().mean(dim=1, keepdim=True) + REVIN_EPS)

    def normalize(self, values: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        if self.kind == "none":
            return values
        values = values - loc
        if self.kind == "revin":
            values = values / scale
        if self.affine:
            values = values * self.weight + self.bias
        return values

    def perturb(self, values: torch.Tensor) -> torch.Tensor:
        """In training, noise of `input_noise` times each window's deviation on every step `[B, L, C]`.

        For a linear map and squared errors that is ridge regression in expectation (Bishop, "Training with noise is
        equivalent to Tikhonov regularization", 1995): neighbouring steps tell nearly the same, and a map that is not
        held back sets large weights of opposite sign against each other.
        """
        if not (self.training and self.input_noise):
            return values
        deviation = values.std(dim=1, keepdim=True, correction=0)
        return values + self.input_noise * deviation * torch.randn_like(values)

    def denormalize(self, values: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        if self.kind == "none":
            return values
        if self.affine:
            values = (values - self.bias) / (self.weight + REVIN_EPS**2)
        if self.kind == "revin":
            values = values * scale
        return values + loc


def forecast_window(
    past_values: torch.Tensor, normalization: WindowNormalization, backbone: nn.Module, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor]:
    """Normalise, run the backbone in `dtype`, and undo the normalisation, both in the precision of the window.

    Args:
        past_values: `[B, L, C]`.

    Returns:
        The forecast `[B, S, C]`, the feature `[B, C, D]` or `None`, level and scale `[B, 1, C]`.
    """
    loc, scale = normalization.statistics(past_values)
    centred = normalization.normalize(past_values, loc, scale)
    # torch multiplies a transposed window with frozen weights up to twenty times as slowly
    forecast, feature = backbone(normalization.perturb(centred).transpose(1, 2).to(dtype).contiguous())
    forecast = forecast.transpose(1, 2).to(past_values.dtype)
    return normalization.denormalize(forecast, loc, scale), feature, loc, scale
