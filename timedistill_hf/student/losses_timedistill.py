"""The supervised loss: error in time, and error in frequency."""

import torch


def forecast_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    observed: torch.Tensor | None = None,
    kind: str = "mse",
    frequency_weight: float = 0.0,
) -> torch.Tensor:
    """Mean squared (`kind="mse"`) or absolute (`"mae"`) error over the observed entries, in float32.

    With `frequency_weight` w, (1 - w) of it and w of the same error between the orthonormal rFFTs along time: FreDF,
    Wang et al., ICLR 2025, arXiv 2402.02399. A channel of a window that is observed in part has an error spectrum that
    is smaller by its observed share (by the root of it, for absolute errors), and counts by as much.

    Args:
        prediction: `[B, S, C]`.
        target: `[B, S, C]`; entries that are not observed may hold anything.
        observed: `[B, S, C]`, true or 1 where the target was observed; all of it where `None`.
        frequency_weight: share of the error in frequency, from 0 to 1.
    """
    difference = prediction.float() - target.float()
    if observed is not None:
        observed = observed.bool()
        difference = torch.where(observed, difference, torch.zeros_like(difference))
    loss = _error_in_time(difference, observed, kind)
    if frequency_weight:
        loss = (1 - frequency_weight) * loss + frequency_weight * _error_in_frequency(difference, observed, kind)
    return loss


def _error_in_time(difference: torch.Tensor, observed: torch.Tensor | None, kind: str) -> torch.Tensor:
    error = difference.abs() if kind == "mae" else difference.square()
    return error.mean() if observed is None else error.sum() / observed.sum().clamp(min=1)


def _error_in_frequency(difference: torch.Tensor, observed: torch.Tensor | None, kind: str) -> torch.Tensor:
    spectrum = torch.fft.rfft(difference, dim=1, norm="ortho")
    error = spectrum.abs() if kind == "mae" else spectrum.real.square() + spectrum.imag.square()
    if observed is None:
        return error.mean()
    share = observed.float().mean(dim=1)
    if kind == "mae":
        share = share.sqrt()
    total = share.sum() * error.shape[1]
    return error.sum() / torch.where(total > 0, total, 1)
