"""A model and its processor together: raw values in, a forecast in the data's units out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import PreTrainedModel

from .adapters import run_model
from .cli.settings import ForecastSettings
from .errors import InputError
from .files import staged_file
from .loading import check_fits, commit_of_model, load_model, load_processor
from .processor import TimeDistillProcessor
from .teachers import Teacher, hub_options


if TYPE_CHECKING:
    import pandas as pd

    from .forecast_table import TableWindow


@dataclass
class Forecaster:
    """What serves forecasts.

    Args:
        model: a student, a teacher (or any model with `past_values -> prediction_outputs`).
        processor: the one saved beside its weights.
    """

    model: PreTrainedModel | Teacher
    processor: TimeDistillProcessor

    @classmethod
    def from_pretrained(cls, name_or_path: str, *, revision: str | None = None, **kwargs) -> "Forecaster":
        """Load both from a folder or the Hub (safetensors only), from the same commit.

        Args:
            name_or_path: a folder or a Hub id.
            revision: branch, tag or commit of a Hub model.
            kwargs: for the model's `from_pretrained`, such as `token`.

        Raises:
            InputError: no student or teacher can be loaded from there, or it has no processor of its own.
        """
        options = hub_options(kwargs)
        revision = commit_of_model(name_or_path, revision, **options)
        model, _ = load_model(name_or_path, revision=revision, **kwargs)
        processor = load_processor(name_or_path, revision=revision, **options)
        check_fits(model, processor)
        return cls(model, processor)

    def predict(self, history: "np.ndarray | torch.Tensor | pd.DataFrame") -> "np.ndarray | pd.DataFrame":
        """Forecast what follows `history`, both in the data's units.

        Args:
            history: `[T, C]` or `[B, T, C]` with T at least the look-back and NaN where missing, or a DataFrame like
                the one of training, which is read by the rules of [`read_window`]; only the last look-back counts.

        Returns:
            `[S, C]` or `[B, S, C]`; for a DataFrame one like it, wide or long: its time column, where it has one, with
            the S timestamps that follow its last, its ids and its value columns, in its order.

        Raises:
            InputError: the history cannot be read, or is not like that of training.
        """
        if isinstance(history, (np.ndarray, torch.Tensor)):
            forecast = self._forecast(self.processor(history))
            return forecast if history.ndim == 3 else forecast[0]
        import pandas as pd

        from .forecast_table import read_window

        if not isinstance(history, pd.DataFrame):
            raise InputError(f"{type(history).__name__!r} is no kind of history: give a DataFrame or an array")
        return self.predict_window(read_window(history, self.processor))

    def predict_window(self, window: "TableWindow") -> "pd.DataFrame":
        """The forecast of a table's window, as such a table."""
        return window.to_frame(self._forecast(self.processor(window))[0])

    @torch.no_grad()
    def _forecast(self, inputs: dict[str, torch.Tensor]) -> np.ndarray:
        self.model.eval()
        device = next(self.model.parameters()).device
        outputs = run_model(self.model, {name: value.to(device) for name, value in inputs.items()})
        return self.processor.unstandardize(outputs.prediction_outputs.cpu()).numpy()


def forecast_file(settings: ForecastSettings) -> str:
    """Forecast what follows one file and write it to another, on the accelerator where there is one.

    Returns:
        What was done, on one line.

    Raises:
        InputError: model or table cannot be used as given; nothing is written then.
    """
    from .data.sources import read_file
    from .forecast_table import read_window

    forecaster = Forecaster.from_pretrained(settings.model, revision=settings.revision)
    window = read_window(read_file(Path(settings.input), forecaster.processor.id_column), forecaster.processor)
    if torch.accelerator.is_available():
        forecaster.model.to(torch.accelerator.current_accelerator())
    table = forecaster.predict_window(window)
    try:
        with staged_file(settings.output) as stage:
            if stage.suffix.lower() == ".csv":
                table.to_csv(stage, index=False)
            else:
                table.to_parquet(stage, index=False)
    except OSError as error:
        raise InputError(f"{settings.output!r} cannot be written: {error}") from error
    steps = forecaster.processor.prediction_length
    when = "" if window.future is None else f" from {window.future[0]} to {window.future[-1]}"
    return f"{window.series.num_channels} series, {steps} steps{when}: {settings.output}"
