"""Forecast errors as `evaluate` metrics that work offline and keep running sums instead of forecasts."""

import datasets
import evaluate
import numpy as np
import torch

from .errors_per_window import mean_errors, window_errors
from .series_errors import SeriesErrors


_CITATION = "MASE and sMAPE: Hyndman and Koehler, Another look at measures of forecast accuracy, 2006."


class _RunningMetric(evaluate.Metric):
    """A metric over batches of `[B, S, C]` forecasts, in memory that does not grow."""

    def _info(self) -> evaluate.MetricInfo:
        series = datasets.Sequence(datasets.Sequence(datasets.Value("float32")))
        return evaluate.MetricInfo(
            description=type(self).__doc__,
            citation=_CITATION,
            inputs_description="predictions and references: [B, S, C]; observed (optional): [B, S, C], 1 where known",
            features=datasets.Features({"predictions": series, "references": series}),
        )

    def add_batch(self, *, predictions=None, references=None, observed=None, **kwargs) -> None:
        """Add a batch.

        Args:
            predictions: forecasts `[B, S, C]`.
            references: the truth, same shape.
            observed: same shape, 1 where the truth is known; all of it where `None`.
        """
        observed = None if observed is None else torch.as_tensor(observed)
        self._update(torch.as_tensor(predictions), torch.as_tensor(references), observed)

    def compute(self, *, predictions=None, references=None, observed=None, **kwargs) -> dict[str, float]:
        """The metric over all batches added, and over `predictions` if given; then starts anew.

        Args:
            predictions, references, observed: as in `add_batch`.
        """
        if predictions is not None:
            self.add_batch(predictions=predictions, references=references, observed=observed)
        result = self._result()
        self._reset()
        return result

    def _compute(self, **kwargs):
        raise NotImplementedError("running sums: see compute")


class StandardizedErrors(_RunningMetric):
    """MSE and MAE on standardised values, over all windows, steps and channels: what papers report."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._reset()

    def _reset(self) -> None:
        self._sums = torch.zeros(1, 3, dtype=torch.float64)

    def _update(self, predictions, references, observed) -> None:
        self._sums += window_errors(predictions, references, observed).sum(dim=0)

    def _result(self) -> dict[str, float]:
        return mean_errors(self._sums)


class UnitErrors(_RunningMetric):
    """MAE, RMSE, sMAPE (0 to 200 %) and MASE in the data's own units, averaged over channels.

    Args:
        naive_errors: per channel, mean absolute change over one season of the train rows; what MASE divides by.
    """

    def __init__(self, naive_errors: np.ndarray, **kwargs):
        super().__init__(**kwargs)
        self._naive_errors = np.asarray(naive_errors, dtype=np.float64)
        self._reset()

    def _reset(self) -> None:
        self._errors = SeriesErrors(len(self._naive_errors))

    def _update(self, predictions, references, observed) -> None:
        windows, _, channels = references.shape
        observed = torch.ones_like(references) if observed is None else observed
        forecast, truth, known = (
            part.transpose(1, 2).flatten(0, 1).numpy()
            for part in (predictions.double(), references.double(), observed.bool())
        )
        self._errors.add(np.tile(np.arange(channels), windows), forecast, truth, np.ones(len(truth)), known)

    def _result(self) -> dict[str, float]:
        overall = self._errors.overall(self._naive_errors)
        return {name: overall[name] for name in ("mae", "rmse", "smape", "mase")}
