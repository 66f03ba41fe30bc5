"""Is the teacher worth learning from? A wrong scale shows as an error above the seasonal naive forecast's."""

import logging

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from ..data.windows import split_targets
from ..evaluation.controls import SeasonalNaive
from ..evaluation.errors_per_window import mean_errors, window_errors
from ..student.serving_timedistill import device_of
from ..teachers import FrozenTeacher
from .store import split_signal
from .table import ForecastWindows


logger = logging.getLogger(__name__)


def teacher_against_naive(
    teacher: FrozenTeacher | None, windows: Dataset, season: int, *, limit: int = 256, batch_size: int = 32
) -> tuple[float, float]:
    """MSE of the teacher and of the seasonal naive forecast on at most `limit` windows, evenly spread.

    Args:
        teacher: a live one; `None` where the windows hold its stored signal. Windows without one are left out.
    """
    if isinstance(windows, ForecastWindows) and not windows.coverage.is_complete:
        windows = Subset(windows, np.flatnonzero(windows.coverage.known).tolist())
    positions = np.unique(np.linspace(0, len(windows) - 1, min(limit, len(windows))).round().astype(int)).tolist()
    device = torch.device("cpu") if teacher is None else device_of(teacher)
    sums: dict[str, list[torch.Tensor]] = {"teacher": [], "naive": []}
    for batch in DataLoader(Subset(windows, positions), batch_size=batch_size):
        inputs, targets = split_targets({name: value.to(device) for name, value in batch.items()})
        inputs, signal = split_signal(inputs)
        signal = teacher(**inputs) if signal is None else signal
        truth, observed = targets["future_values"], targets.get("future_observed_mask")
        naive = SeasonalNaive(season, truth.shape[1])(**inputs)
        for name, forecast in (("teacher", signal), ("naive", naive)):
            sums[name].append(window_errors(forecast.prediction_outputs, truth, observed))
    teacher_mse, naive_mse = (mean_errors(torch.cat(parts))["mse"] for parts in sums.values())
    return teacher_mse, naive_mse


def warn_if_worse_than_naive(teacher: FrozenTeacher | None, windows: Dataset, season: int) -> None:
    """Log a warning where the teacher's error on these windows is above the seasonal naive one's."""
    teacher_mse, naive_mse = teacher_against_naive(teacher, windows, season)
    if not teacher_mse <= naive_mse:
        logger.warning(
            "The teacher's MSE on training windows (%.4f) is above that of repeating the last season of %d steps "
            "(%.4f): its forecasts may be on another scale than the standardised data. Distilling from it will hurt.",
            teacher_mse,
            season,
            naive_mse,
        )
