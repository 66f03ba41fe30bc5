"""Errors on standardised values, for `evaluate.load`, which copies this file: its imports are absolute."""

import torch

from timedistill_hf.evaluation.errors_per_window import mean_errors, window_errors
from timedistill_hf.evaluation.metrics import RunningMetric


class StandardizedErrors(RunningMetric):
    """MSE and MAE on standardised values, over all windows, steps and channels: what papers report."""

    def _reset(self) -> None:
        self._sums = torch.zeros(1, 3, dtype=torch.float64)

    def _update(self, predictions: torch.Tensor, references: torch.Tensor, observed: torch.Tensor) -> None:
        self._sums += window_errors(predictions, references, observed).sum(dim=0)

    def _result(self) -> dict[str, float]:
        return mean_errors(self._sums)
