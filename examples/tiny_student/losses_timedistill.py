"""The supervised loss: error in time, weighted along the horizon where asked for, and error in frequency."""

import math

import torch


def horizon_weights(length: int, kind: str, device: torch.device | None = None) -> torch.Tensor:
    """Weight of each step of the horizon, `[S]`, with mean 1.

    Args:
        length: S, in time steps.
        kind: `"none"`, all 1; `"late"`, exp(t / (S - 1)) for t = 0..S-1, as DistilTS weights its steps; `"early"`,
            pi / 4 + 1 - arctan(t + 1), the decay of xPatch (Stitsyuk & Choi, AAAI 2025).

    Raises:
        ValueError: there is no such kind.
    """
    step = torch.arange(length, dtype=torch.float32, device=device)
    if kind == "none":
        return torch.ones_like(step)
    if kind == "late":
        weights = torch.exp(step / max(length - 1, 1))
    elif kind == "early":
        weights = math.pi / 4 + 1 - torch.arctan(step + 1)
    else:
        raise ValueError(f"horizon_weighting={kind!r}: expected 'none', 'early' or 'late'")
    return weights / weights.mean()


def forecast_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    observed: torch.Tensor | None = None,
    kind: str = "mse",
    frequency_weight: float = 0.0,
    horizon_weighting: str = "none",
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
        horizon_weighting: how the steps are weighted in the time-domain mean, see [`horizon_weights`].
    """
    difference = prediction.float() - target.float()
    if observed is not None:
        observed = observed.bool()
        difference = torch.where(observed, difference, torch.zeros_like(difference))
    loss = _error_in_time(difference, observed, kind, horizon_weighting)
    if frequency_weight:
        loss = (1 - frequency_weight) * loss + frequency_weight * _error_in_frequency(difference, observed, kind)
    return loss


def _error_in_time(
    difference: torch.Tensor, observed: torch.Tensor | None, kind: str, horizon_weighting: str
) -> torch.Tensor:
    error = difference.abs() if kind == "mae" else difference.square()
    if horizon_weighting == "none":
        return error.mean() if observed is None else error.sum() / observed.sum().clamp(min=1)
    weights = horizon_weights(error.shape[1], horizon_weighting, error.device).view(1, -1, 1)
    if observed is None:
        return (weights * error).mean()
    total = (weights * observed).sum()
    return (weights * error).sum() / torch.where(total > 0, total, 1)


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
