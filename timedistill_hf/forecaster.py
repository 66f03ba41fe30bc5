"""A model and its processor together: raw values in, a forecast in the data's units out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import AutoModelForTimeSeriesPrediction, PreTrainedModel

from .processor import TimeDistillProcessor


if TYPE_CHECKING:
    import pandas as pd

    from .data.series import Series


@dataclass
class Forecaster:
    """What serves forecasts.

    Args:
        model: a student (or any model with `past_values -> prediction_outputs`).
        processor: the one saved beside its weights.
    """

    model: PreTrainedModel
    processor: TimeDistillProcessor

    @classmethod
    def from_pretrained(cls, name_or_path: str, **kwargs) -> "Forecaster":
        """Load both from a folder or the Hub (safetensors only); `kwargs` go to the model's `from_pretrained`."""
        model = AutoModelForTimeSeriesPrediction.from_pretrained(name_or_path, use_safetensors=True, **kwargs).eval()
        return cls(model, TimeDistillProcessor.from_pretrained(name_or_path, revision=kwargs.get("revision")))

    @torch.no_grad()
    def predict(self, history: "np.ndarray | torch.Tensor | pd.DataFrame") -> "np.ndarray | pd.DataFrame":
        """Forecast what follows `history`, both in the data's units.

        Args:
            history: `[T, C]` or `[B, T, C]` with T at least the look-back and NaN where missing, or a DataFrame like
                the one of training, which is read by the same rules; only the last look-back counts.

        Returns:
            `[S, C]` or `[B, S, C]`; for a DataFrame one with the same columns, after a column of future timestamps
            where the training data had one.
        """
        if isinstance(history, (np.ndarray, torch.Tensor)):
            forecast = self._forecast(history)
            return forecast if history.ndim == 3 else forecast[0]
        series = self.processor.read(history)
        return self._to_frame(self._forecast(series.values)[0], series)

    def _forecast(self, values: "np.ndarray | torch.Tensor") -> np.ndarray:
        inputs = self.processor(values)
        self.model.eval()
        outputs = self.model(**{name: value.to(self.model.device) for name, value in inputs.items()})
        return self.processor.unstandardize(outputs.prediction_outputs.cpu()).numpy()

    def _to_frame(self, forecast: np.ndarray, series: "Series") -> "pd.DataFrame":
        import pandas as pd

        frame = pd.DataFrame(forecast, columns=self.processor.columns)
        if series.timestamps is not None and self.processor.freq is not None:
            timestamps = self.processor.future_timestamps(pd.Timestamp(series.timestamps[-1]))
            frame.insert(0, self.processor.timestamp_column, timestamps)
        return frame
