"""Weights for a mean of forecasters, from how their errors go together (Bates and Granger, 1969).

With weights w that add up to 1 the error of the weighted mean is the weighted mean of the errors. Its mean square is
then w' G w, with G the mean products of the errors: nothing else of the forecasts has to be kept.
"""

from collections.abc import Hashable, Sequence

import torch
from scipy.optimize import nnls
from torch import nn
from torch.utils.data import DataLoader, Dataset

from .._utils.errors import InputError
from ..data.windows import split_targets, windows_at_once
from ..models.adapters import run_model
from ..student.serving_timedistill import device_of


# relative to each squared error; makes the best weights of equal forecasters equal
_RIDGE = 1e-10
_MAX_STEPS = 100  # of the solver, for each forecaster


@torch.no_grad()
def error_products(models: Sequence[nn.Module], windows: Dataset, batch_size: int = 32) -> torch.Tensor:
    """Mean over all observed entries of the product of two models' errors, float64 `[K, K]`; the MSEs on its diagonal.

    Args:
        models: K forecasters, `past_values` `[B, L, C]` to `.prediction_outputs` `[B, S, C]`, each on its own device.
        windows: with `future_values` `[S, C]` and, where truth is missing, `future_observed_mask`.

    Raises:
        InputError: the windows hold no observed truth.
    """
    devices = [device_of(model.eval()) for model in models]
    if len(windows):
        batch_size = windows_at_once(batch_size, windows[0]["future_values"].shape[-1])
    total, entries = torch.zeros(len(models), len(models), dtype=torch.float64), 0
    for batch in DataLoader(windows, batch_size=batch_size):
        inputs, targets = split_targets(batch)
        truth, observed = targets["future_values"].double(), targets.get("future_observed_mask")
        known = torch.ones_like(truth, dtype=torch.bool) if observed is None else observed.bool()
        errors = []
        for model, device in zip(models, devices, strict=True):
            forecast = run_model(model, {name: value.to(device) for name, value in inputs.items()}).prediction_outputs
            errors.append(torch.where(known, forecast.float().cpu().double() - truth, 0.0))
        stacked = torch.stack(errors, dim=-1).permute(0, 2, 3, 1)  # [B, C, K, S]
        total += (stacked @ stacked.mT).sum(dim=(0, 1))
        entries += int(known.sum())
    if not entries:
        raise InputError("the windows hold no observed truth to judge forecasts by: give others, or change `split`")
    return total / entries


def convex_weights(
    products: torch.Tensor, shrinkage: float = 0.0, groups: Sequence[Hashable] | None = None
) -> torch.Tensor:
    """Weights w, at least 0 and 1 in all, that minimise w' G w + shrinkage * min(diag G) * |w - m|^2.

    m holds the mean weight of each one's group: the pull makes the weights within a group alike, and leaves to the
    errors what the groups count. Where the best weights are not unique, equal forecasters get equal ones.

    Args:
        products: G, `[K, K]`, from [`error_products`].
        shrinkage: pull towards equal weights, 0 or more.
        groups: which group each belongs to, by any name; all to one where `None`, so that m is 1/K.

    Returns:
        float64 `[K]`.

    Raises:
        InputError: G is not square, not finite or no matrix of products, or `shrinkage` is negative.
    """
    if products.ndim != 2 or products.shape[0] != products.shape[1] or not len(products):
        raise InputError(f"products of errors of shape {tuple(products.shape)}: expected [K, K], see error_products")
    if not products.isfinite().all():
        raise InputError("products of errors hold NaN or infinite values: leave out the model that forecasts them")
    groups = [None] * len(products) if groups is None else list(groups)
    if len(groups) != len(products):
        raise InputError(f"{len(groups)} groups for {len(products)} forecasters: expected one each")
    if not 0 <= shrinkage < float("inf"):
        raise InputError(f"shrinkage={shrinkage}: expected 0 or more")
    quadratic = products.double().cpu()
    quadratic = (quadratic + quadratic.T) / 2
    errors = quadratic.diagonal()
    scale = errors[errors > 0].min() if (errors > 0).any() else torch.ones((), dtype=torch.float64)
    added = shrinkage * errors.min() / scale * _from_group_mean(groups)
    added = added + (_RIDGE * (errors / scale).clamp(min=1)).diag()
    try:
        return _least_norm(quadratic / scale + added)
    except torch.linalg.LinAlgError as error:
        raise InputError("products of errors with a negative square: give float64 ones, see error_products") from error


def _from_group_mean(groups: Sequence[Hashable]) -> torch.Tensor:
    """`[K, K]`: takes from each weight the mean one of its group."""
    same = torch.tensor([[one == other for other in groups] for one in groups], dtype=torch.float64)
    return torch.eye(len(groups), dtype=torch.float64) - same / same.sum(dim=1, keepdim=True)


def _least_norm(quadratic: torch.Tensor) -> torch.Tensor:
    """The w of the simplex with the least w' A w, A `[K, K]` positive definite.

    For u = s w, the least u' A u + (s - 1)^2 over s is v / (1 + v) with v = w' A w, which rises with v: the best
    u >= 0 has the direction of the best w. So this is nonnegative least squares with one row more, for the sum.
    """
    sizes = quadratic.diagonal().sqrt()  # columns of one size, for the solver's tolerance
    rows = torch.cat([torch.linalg.cholesky(quadratic).T, torch.ones(1, len(quadratic), dtype=torch.float64)])
    goal = torch.zeros(len(rows), dtype=torch.float64)
    goal[-1] = 1.0
    found, _ = nnls((rows / sizes).numpy(), goal.numpy(), maxiter=_MAX_STEPS * len(quadratic))
    weights = torch.from_numpy(found) / sizes
    return weights / weights.sum()
