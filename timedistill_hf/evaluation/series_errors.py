"""Forecast errors of many series, kept as sums a series."""

import numpy as np
import pandas as pd

from ..tables.panel import Panel


NAMES = ("mse", "mae", "rmse", "smape", "mase", "standardized_mse", "standardized_mae")


class SeriesErrors:
    """Sums of errors in the data's units and on standardised values, in memory that does not grow with windows."""

    def __init__(self, num_series: int):
        self._sums = np.zeros((6, num_series))

    def add(
        self,
        series: np.ndarray,
        forecast: np.ndarray,
        truth: np.ndarray,
        scale: np.ndarray,
        known: np.ndarray | None = None,
    ) -> None:
        """Add windows; an infinite forecast counts, and so does one that is NaN in a step that counts.

        Args:
            series: `[n]`, which series each window is of.
            forecast, truth: `[n, S]` in the data's units.
            scale: `[n]`, what a standardised unit is.
            known: `[n, S]`, the steps that count; those with a truth and a forecast where `None`.
        """
        if known is None:
            known = ~(np.isnan(truth) | np.isnan(forecast))
        error, size = (
            np.where(known, np.nan_to_num(value, nan=np.inf, posinf=np.inf), 0.0)
            for value in (np.abs(forecast - truth), np.abs(forecast) + np.abs(truth))
        )
        relative = np.divide(
            200 * error, size, out=np.where(size > 0, 200.0, 0.0), where=(size > 0) & np.isfinite(size)
        )
        standardized = error / scale[:, None]
        parts = (known, error, error**2, relative, standardized, standardized**2)
        for sums, part in zip(self._sums, parts, strict=True):
            sums += np.bincount(series, weights=part.sum(axis=1), minlength=len(sums))

    def per_series(self, naive_errors: np.ndarray) -> pd.DataFrame:
        """One row a series: the metrics of [`NAMES`], NaN where unknown, and how many `points` they are of.

        Args:
            naive_errors: `[series]`, what MASE divides by.
        """
        points = self._sums[0]
        count = np.where(points > 0, points, np.nan)
        absolute, squared, relative, standardized, standardized_squared = self._sums[1:] / count
        return pd.DataFrame(
            {
                "mse": squared,
                "mae": absolute,
                "rmse": np.sqrt(squared),
                "smape": relative,
                "mase": absolute / np.where(naive_errors > 0, naive_errors, np.nan),
                "standardized_mse": standardized_squared,
                "standardized_mae": standardized,
                "points": points.astype(np.int64),
            }
        )

    def overall(self, naive_errors: np.ndarray) -> dict[str, float]:
        """Those in units averaged over the series that have them, the standardised ones over all points."""
        metrics = self.per_series(naive_errors)[list(NAMES)].mean().to_dict()
        points = self._sums[0].sum()
        for name, sums in (("standardized_mae", self._sums[4]), ("standardized_mse", self._sums[5])):
            metrics[name] = float(sums.sum() / points) if points else float("nan")
        return metrics


def seasonal_errors(panel: Panel, season: int, until: np.ndarray) -> np.ndarray:
    """Mean absolute change over one season up to a step of each group, `[G * K]`; NaN where it has no two such values.

    Args:
        until: `[G]`, the last step that counts.
    """
    counts = panel.number <= until[panel.group]
    group, number, values = panel.group[counts], panel.number[counts], panel.values[counts]
    low = number.min(initial=0)
    span = int(number.max(initial=0) - low) + season + 1
    key = group * span + (number - low)  # rises with the rows; a season back never reaches the group before
    before = np.searchsorted(key, key - season)
    found = (key[before] == key - season) if len(key) else np.zeros(0, dtype=bool)
    errors = []
    for column in values.T:
        change = np.abs(column[found] - column[before[found]])
        known = np.isfinite(change)
        total, count = (
            np.bincount(group[found], weights=part, minlength=panel.num_groups)
            for part in (np.where(known, change, 0.0), known)
        )
        errors.append(np.divide(total, count, out=np.full(panel.num_groups, np.nan), where=count > 0))
    return np.stack(errors, axis=1).ravel()
