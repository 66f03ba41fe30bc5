"""Errors in the data's units, for `evaluate.load`, which copies this file: its imports are absolute."""

from collections.abc import Sequence

import numpy as np
import torch

from timedistill_hf.evaluation.metrics import RunningMetric
from timedistill_hf.evaluation.series_errors import SeriesErrors


class UnitErrors(RunningMetric):
    """MAE, RMSE, sMAPE (0 to 200 %) and MASE in the data's own units, averaged over channels.

    Args:
        naive_errors: per channel, mean absolute change over one season of the train rows; what MASE divides by.
    """

    def __init__(self, naive_errors: Sequence[float], **kwargs):
        self._naive_errors = np.asarray(naive_errors, dtype=np.float64)
        super().__init__(**kwargs)

    def _reset(self) -> None:
        self._errors = SeriesErrors(len(self._naive_errors))

    def _update(self, predictions: torch.Tensor, references: torch.Tensor, observed: torch.Tensor) -> None:
        windows, _, channels = references.shape
        forecast, truth, known = (
            part.transpose(1, 2).flatten(0, 1).numpy()
            for part in (predictions.double(), references.double(), observed)
        )
        self._errors.add(np.tile(np.arange(channels), windows), forecast, truth, np.ones(len(truth)), known)

    def _result(self) -> dict[str, float]:
        overall = self._errors.overall(self._naive_errors)
        return {name: overall[name] for name in ("mae", "rmse", "smape", "mase")}
