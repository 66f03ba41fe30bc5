"""What this package's `evaluate` metrics share: they work offline and keep running sums instead of forecasts.

Each metric is a module of its own beside this one, which `evaluate.load(path)` loads.
"""

from abc import ABC, abstractmethod

import datasets
import evaluate
import numpy as np
import torch


class RunningMetric(evaluate.Metric, ABC):
    """A metric over batches of `[B, S, C]` forecasts, in memory that does not grow."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._reset()

    def _info(self) -> evaluate.MetricInfo:
        series = datasets.Sequence(datasets.Sequence(datasets.Value("float32")))
        return evaluate.MetricInfo(
            description=type(self).__doc__,
            citation="MASE and sMAPE: Hyndman and Koehler, Another look at measures of forecast accuracy, 2006.",
            inputs_description="predictions and references: [B, S, C]; a reference that is NaN is not known",
            features=datasets.Features({"predictions": series, "references": series}),
        )

    def add_batch(self, *, predictions=None, references=None, observed=None, **kwargs) -> None:
        """Add a batch.

        Args:
            predictions: forecasts `[B, S, C]`.
            references: the truth, same shape, NaN where unknown.
            observed: same shape, 1 where the truth is known, in place of NaN.
        """
        predictions, references = (torch.as_tensor(np.asarray(part)) for part in (predictions, references))
        observed = ~references.isnan() if observed is None else torch.as_tensor(observed).bool()
        self._update(predictions, references, observed)

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

    @abstractmethod
    def _reset(self) -> None: ...

    @abstractmethod
    def _update(self, predictions: torch.Tensor, references: torch.Tensor, observed: torch.Tensor) -> None: ...

    @abstractmethod
    def _result(self) -> dict[str, float]: ...
