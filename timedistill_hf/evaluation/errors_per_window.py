"""Squared and absolute errors summed per window: what evaluation keeps instead of forecasts."""

import torch


def window_errors(
    prediction: torch.Tensor, target: torch.Tensor, observed: torch.Tensor | None = None
) -> torch.Tensor:
    """Sums over each window's observed entries, float64 `[B, 3]`: squared errors, absolute errors, entries.

    Args:
        prediction, target: `[B, S, C]`.
        observed: `[B, S, C]`, 1 where the target was observed; all of it where `None`.
    """
    error = prediction.double() - target.double()
    if observed is None:
        count = error.new_full((len(error),), error[0].numel())
    else:
        observed = observed.bool()
        error = torch.where(observed, error, torch.zeros_like(error))
        count = observed.flatten(1).sum(dim=1).double()
    error = error.flatten(1)
    return torch.stack([error.square().sum(dim=1), error.abs().sum(dim=1), count], dim=1)


def mean_errors(sums: torch.Tensor) -> dict[str, float]:
    """`mse` and `mae` over all entries of the `[N, 3]` sums of [`window_errors`]."""
    squared, absolute, count = sums.double().sum(dim=0).tolist()
    if count == 0:
        return {"mse": float("nan"), "mae": float("nan")}
    return {"mse": squared / count, "mae": absolute / count}
