"""A gate that weighs several teachers by window and channel, where that proves better than fixed weights.

Teachers differ in where they are good: one on windows with a trend, another on calm ones. Teachers know their training
windows too well to be compared there, so the gate is fitted on the earlier validation windows and judged on the later.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from accelerate.utils import broadcast_object_list
from torch import nn

from ..data.windows import ForecastData
from ..evaluation.mixing import convex_weights, mean_products, products_per_window
from ..student.normalization_timedistill import fill_missing
from .several import SeveralTeachers
from .signal import FrozenTeacher, fingerprint_of
from .weighting import validation_windows, with_best_weights


logger = logging.getLogger(__name__)

_STEPS = 300
_LEARNING_RATE = 0.05
_PENALTY = 1e-3
_LEAST_SHARE = 1e-3  # where the gate starts, so that a teacher of weight 0 can come back
_MOST_DEVIATIONS = 3.0
_EPS = 1e-6


def window_statistics(
    past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, season: int = 1
) -> torch.Tensor:
    """What a gate sees of a window: mean, deviation, last minus mean, autocorrelation at the season, slope.

    Args:
        past_values: `[B, L, C]`.
        past_observed_mask: `[B, L, C]`, 1 where observed; missing steps are interpolated.
        season: lag of the autocorrelation in steps; 1 where the window is not longer than it.

    Returns:
        `[B, C, 5]`; the slope is the fitted line's change over the window.
    """
    if past_observed_mask is not None:
        past_values = fill_missing(past_values, past_observed_mask)
    length = past_values.shape[1]
    lag = season if season < length else 1
    mean = past_values.mean(dim=1)
    centred = past_values - mean.unsqueeze(1)
    variance = centred.square().mean(dim=1)
    covariance = (centred[:, lag:] * centred[:, :-lag]).sum(dim=1) / length
    time = torch.linspace(-0.5, 0.5, length, dtype=centred.dtype, device=centred.device)
    slope = (time.view(1, -1, 1) * centred).sum(dim=1) / time.square().sum().clamp(min=_EPS)
    return torch.stack([mean, variance.sqrt(), centred[:, -1], covariance / (variance + _EPS), slope], dim=-1)


class Gate(nn.Module):
    """A softmax over K teachers, linear in the [`window_statistics`] of each channel; the same for all channels.

    Args:
        season: steps, for the autocorrelation.
        loc, scale: `[5]`, mean and deviation of the statistics where it was fitted; values beyond 3 deviations count
            as 3.
        weight, bias: `[5, K]` and `[K]`.
    """

    def __init__(self, season: int, loc: torch.Tensor, scale: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor):
        super().__init__()
        self.season = season
        for name, tensor in (("loc", loc), ("scale", scale), ("weight", weight), ("bias", bias)):
            self.register_buffer(name, tensor.float())

    def forward(self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Each teacher's share `[B, C, K]` for `past_values` `[B, L, C]`."""
        statistics = window_statistics(past_values, past_observed_mask, self.season)
        return self.of_statistics(statistics)

    def of_statistics(self, statistics: torch.Tensor) -> torch.Tensor:
        """Each teacher's share `[..., K]` for `statistics` `[..., 5]`."""
        seen = _standardized(statistics, self.loc, self.scale)
        return torch.softmax(seen @ self.weight + self.bias, dim=-1)


@dataclass(frozen=True)
class GateReport:
    """How a gate did on the later validation windows, which it had not seen.

    Args:
        is_used: whether it had the lower error there.
        mse: of the gated mean; `None` where there were too few validation windows to try.
        fallback_mse: of the weighted mean, whose weights were chosen on all validation windows.
        mean_shares: each teacher's share by the gate, over these windows and all channels.
    """

    is_used: bool
    mse: float | None = None
    fallback_mse: float | None = None
    mean_shares: tuple[float, ...] | None = None


class GatedTeachers(SeveralTeachers):
    """Several teachers whose weights depend on window and channel.

    Args:
        teachers, weights: as in [`SeveralTeachers`]; the weights are what is used without a gate.
        gate: `None` for those weights.
        report: how the gate was judged, from [`validation_gated`].
    """

    def __init__(
        self,
        teachers: Sequence[FrozenTeacher],
        weights: Sequence[float] | None = None,
        gate: Gate | None = None,
        report: GateReport | None = None,
    ):
        super().__init__(teachers, weights)
        self.gate = gate
        self.report = report
        self.eval()

    def shares(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None
    ) -> Sequence[float | torch.Tensor]:
        if self.gate is None:
            return self.weights
        return self.gate(past_values, past_observed_mask).unsqueeze(1).unbind(dim=-1)

    def describe(self) -> dict:
        """Also whether the gate is used, and what it gained where it was judged."""
        return super().describe() | {"gate": None if self.report is None else asdict(self.report)}

    def fingerprint(self) -> str:
        """A hash of members, weights and gate."""
        if self.gate is None:
            return super().fingerprint()
        return fingerprint_of((super().fingerprint(), self.gate.season), self.gate.state_dict())


def validation_gated(
    teachers: Sequence[FrozenTeacher], data: ForecastData, *, shrinkage: float = 0.0, batch_size: int = 32
) -> GatedTeachers:
    """The teachers with a gate fitted on the first half of the validation windows, if it holds on the second.

    It must have a lower squared error there than the weighted mean of [`validation_weighted`], whose weights have seen
    both halves; else these weights are what is used. A horizon of windows between the halves is left out, so that no
    truth is in both. The log and the [`GateReport`] give both errors.

    Args, Raises: as [`validation_weighted`].
    """
    windows = validation_windows(teachers, data)
    statistics, products, counts = [], [], []
    for inputs, batch_products, batch_counts in products_per_window(teachers, windows, batch_size):
        seen = window_statistics(inputs["past_values"], inputs.get("past_observed_mask"), data.series.season)
        statistics.append(seen.double())
        products.append(batch_products)
        counts.append(batch_counts)
    statistics, products, counts = torch.cat(statistics), torch.cat(products), torch.cat(counts)
    total = mean_products(products.sum(dim=(0, 1)), counts.sum().item())
    weights = torch.tensor(with_best_weights(teachers, total, shrinkage).weights, dtype=torch.float64)

    half = (len(windows) - windows.prediction_length + 1) // 2
    early, late = slice(0, max(0, half)), slice(half + windows.prediction_length - 1, None)
    if half < 1 or not counts[early].sum() or not counts[late].sum():
        logger.info("Gate: %d validation windows are too few to fit and judge it; fixed weights", len(windows))
        return GatedTeachers(teachers, weights.tolist(), report=GateReport(is_used=False))
    fitted = _fit(statistics[early], products[early] / counts[early].sum(), data.series.season)
    (state,) = broadcast_object_list([fitted.state_dict()])  # processes may differ in the last digits
    gate = Gate(data.series.season, **state)
    shares = gate.of_statistics(statistics[late].float()).double()
    mean_products_late = products[late] / counts[late].sum()
    mse, fallback_mse = (_error(each, mean_products_late).item() for each in (shares, weights.expand_as(shares)))
    (is_used,) = broadcast_object_list([mse < fallback_mse])
    report = GateReport(is_used, mse, fallback_mse, tuple(shares.mean(dim=(0, 1)).tolist()))
    _log(teachers, report, len(shares))
    gate = gate.to(teachers[0].device) if is_used else None
    return GatedTeachers(teachers, weights.tolist(), gate, report)


def _fit(statistics: torch.Tensor, products: torch.Tensor, season: int) -> Gate:
    """The gate with the least squared error, by full-batch steps that begin at these windows' best fixed weights.

    Args:
        statistics: `[N, C, 5]`.
        products: `[N, C, K, K]`, sums over the horizon, divided by the number of all entries.
    """
    weights = convex_weights(products.sum(dim=(0, 1)))
    loc = statistics.mean(dim=(0, 1))
    scale = statistics.std(dim=(0, 1), correction=0).clamp(min=_EPS)
    seen = _standardized(statistics, loc, scale)
    weight = torch.zeros(seen.shape[-1], len(weights), dtype=torch.float64, requires_grad=True)
    bias = weights.clamp(min=_LEAST_SHARE).log().requires_grad_()
    unit = _error(weights.expand(*seen.shape[:2], -1), products).clamp(min=_EPS)
    optimizer = torch.optim.Adam([weight, bias], lr=_LEARNING_RATE)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        shares = torch.softmax(seen @ weight + bias, dim=-1)
        loss = _error(shares, products) / unit + _PENALTY * weight.square().sum()
        loss.backward()
        optimizer.step()
    return Gate(season, loc, scale, weight.detach(), bias.detach())


def _standardized(statistics: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return ((statistics - loc) / scale).clamp(-_MOST_DEVIATIONS, _MOST_DEVIATIONS)


def _error(shares: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """The mean squared error with shares `[N, C, K]`, for products `[N, C, K, K]` of errors that add up to means."""
    return torch.einsum("nci,ncij,ncj->", shares, products, shares)


def _log(teachers: Sequence[FrozenTeacher], report: GateReport, windows: int) -> None:
    shares = ", ".join(
        f"{teacher.name} {share:.3f}" for teacher, share in zip(teachers, report.mean_shares, strict=True)
    )
    logger.info(
        "Gate: MSE %.4f on %d later validation windows, with fixed weights %.4f: %s (mean shares: %s)",
        report.mse,
        windows,
        report.fallback_mse,
        "the gate is used" if report.is_used else "fixed weights are used",
        shares,
    )
