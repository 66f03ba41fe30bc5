"""A model and its processor together: raw values in, a forecast in the data's units out."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from .._utils.errors import InputError
from .._utils.files import staged_file
from .._utils.pretrained import hub_options
from ..data.processor import TimeDistillProcessor
from ..models.adapters import run_model
from ..settings.tables import ForecastSettings
from ..student import TimeDistillConfig, inference_copy
from ..teachers import Teacher
from ..teachers.loading import check_fits, commit_of_model, load_model, load_processor


if TYPE_CHECKING:
    import pandas as pd

    from ..data.forecast_table import TableWindow
    from ..tables.table import Table


@dataclass
class Forecaster:
    """What serves forecasts.

    A student forecasts by its fused copy ([`fuse`]). That is made once, here, and keeps the weights that the student
    has now, whatever becomes of it: when it has been trained further, `refresh()` takes its new weights. The student
    itself is never run or changed. Any other model is run as it is, in evaluation mode.

    Args:
        model: a student, a teacher (or any model with `past_values -> prediction_outputs`).
        processor: the one saved beside its weights.
    """

    model: PreTrainedModel | Teacher
    processor: TimeDistillProcessor
    inference_copy: nn.Module = field(init=False, repr=False, compare=False)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "model":
            self.refresh()

    def refresh(self) -> "Forecaster":
        """Forecast with the weights that the model has now, on its device."""
        self.inference_copy = inference_copy(self.model)
        return self

    def to(self, device: torch.device | str) -> "Forecaster":
        """Move the model, and forecast there."""
        self.model.to(device)
        return self.refresh()

    @classmethod
    def from_pretrained(cls, name_or_path: str, *, revision: str | None = None, **kwargs: Any) -> "Forecaster":
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

    def predict(
        self, history: "np.ndarray | torch.Tensor | Table", *, duplicates: str = "error"
    ) -> "np.ndarray | pd.DataFrame":
        """Forecast what follows `history`, both in the data's units.

        Args:
            history: `[T, C]` or `[B, T, C]` with T at least the look-back and NaN (or a mask) where missing, or a
                table like the one of training (a DataFrame of pandas or polars, an Arrow table, a `datasets.Dataset`),
                which is read by the rules of [`read_window`]; only the last look-back counts.
            duplicates: what several rows of one series at one time become: `"error"`, `"last"` of them or their
                `"mean"`.

        Returns:
            `[S, C]` or `[B, S, C]`; for a DataFrame one like it, wide or long: its time column, where it has one, with
            the S timestamps that follow its last, its ids and its value columns, in its order.

        Raises:
            InputError: the history cannot be read, or is not like that of training.
        """
        if isinstance(history, (np.ndarray, torch.Tensor)):
            forecast = self._forecast(history)
            return forecast if history.ndim == 3 else forecast[0]
        from ..data.forecast_table import read_window
        from ..tables.table import is_table

        if not is_table(history):
            raise InputError(f"{type(history).__name__!r} is no kind of history: give a DataFrame or an array")
        return self.predict_window(read_window(history, self.processor, duplicates))

    def predict_window(self, window: "TableWindow") -> "pd.DataFrame":
        """The forecast of a table's window, as such a table."""
        return window.to_frame(self._forecast(window)[0])

    def predict_df(
        self,
        df: "Table",
        *,
        id_column: str | None = None,
        timestamp_column: str | None = None,
        target_columns: list[str] | None = None,
        freq: str | None = None,
        time_zone: str | None = None,
        scaling: str = "auto",
        duplicates: str = "error",
        batch_size: int | None = None,
    ) -> "pd.DataFrame":
        """Forecast every series of a table from its own last row on, those included that the model has never seen.

        A student whose weights are free of the channel count (`model.config.is_channel_bound` is false) forecasts any
        series; one that is bound forecasts those of its training. Series are forecast each on its own, so one that is
        short or broken harms no other.

        Args:
            df: wide (a column a series) or long (id, time, one or more value columns), up to the present: a DataFrame
                of pandas or polars, an Arrow table, a `datasets.Dataset`.
            id_column: column of ids, of any type; what the index says, or that of training, where `None`, if the table
                has it, else the table is wide.
            timestamp_column: that of training, or found by type or name, where `None`.
            target_columns: value columns; those of training in a long table that has them, all others where `None`.
            freq: pandas frequency of the table, where it is not that of training.
            time_zone: whose clock timestamps without a zone show (`"Europe/Berlin"`), or whose calendar others follow;
                that of training where `None`.
            scaling: `"auto"` standardises a series that is known from training as there, another with mean and
                deviation of its own look-back; `"history"` all with their own; `"training"` accepts only known ones.
            duplicates: what several rows of one series at one time become: `"error"`, `"last"` of them or their
                `"mean"`.
            batch_size: series in the model at once; as many as make four million values where `None`.

        Returns:
            A table like `df` with its columns in their order, `prediction_length` rows an id; ids in the order of
            their first rows, timestamps in the table's zone, forecasts as float64 in the data's units (NaN, with a
            warning, for a series without any value in its look-back).

        Raises:
            InputError: the table cannot be read, its steps are not those of training, or the model cannot forecast a
                series by itself.
        """
        from ..data.series_table import read_series_table, warn_of_short
        from ..student.clock_timedistill import TableError
        from ..student.frames_timedistill import forecast_panel
        from ..student.serving_timedistill import UnusableWindow
        from ..tables.table import is_table

        if not is_table(df):
            raise InputError(f"{type(df).__name__!r} is no DataFrame: predict takes arrays")
        self._check_series_by_series()
        table = read_series_table(
            df,
            self.processor,
            id_column=id_column,
            timestamp_column=timestamp_column,
            target_columns=target_columns,
            freq=freq,
            time_zone=time_zone,
            scaling=scaling,
            duplicates=duplicates,
        )
        warn_of_short(table, self.processor)
        lengths = (self.processor.context_length, self.processor.prediction_length)
        try:
            forecasts = forecast_panel(self.inference_copy, table.panel, table.scaler, *lengths, batch_size)
        except TableError as error:
            raise InputError(f"history: {error}") from error
        except UnusableWindow as error:
            raise InputError(f"history: the series {table.names()[error.window]!r} {error.reason}") from error
        return table.to_frame(forecasts)

    def _check_series_by_series(self) -> None:
        if self.model.config.model_type != TimeDistillConfig.model_type:
            raise InputError(
                "predict_df forecasts each series on its own, which a teacher may not: use predict, or a student"
            )

    def _forecast(self, history: "np.ndarray | torch.Tensor | TableWindow") -> np.ndarray:
        """`[B, S, C]`, float64."""
        from ..student.serving_timedistill import UnusableWindow, forecast_in_units, trained_scaler

        past, features = self.processor.window_of(history)
        model = self.inference_copy.eval()
        scaler = (value[None, None, :-1] for value in trained_scaler(vars(self.processor)))
        try:
            forecast, _ = forecast_in_units(model, past, *scaler, run=run_model, **features)
        except UnusableWindow as error:
            raise InputError(f"history: column {self.processor.columns[error.channel]!r} {error.reason}") from error
        return forecast.numpy()


def forecast_file(settings: ForecastSettings) -> str:
    """Forecast what follows one file and write it to another, on the accelerator where there is one.

    Returns:
        What was done, on one line.

    Raises:
        InputError: model or table cannot be used as given; nothing is written then.
    """
    from ..data.forecast_table import read_window
    from ..tables.files import read_file

    forecaster = Forecaster.from_pretrained(settings.model, revision=settings.revision)
    id_column = settings.id_column or forecaster.processor.id_column
    frame = read_file(settings.input, id_column, **settings.number_signs())
    window = None if settings.each_series else read_window(frame, forecaster.processor, settings.duplicates)
    if torch.accelerator.is_available():
        forecaster.to(torch.accelerator.current_accelerator())
    if window is None:
        table = forecaster.predict_df(frame, **settings.table_options())
    else:
        table = forecaster.predict_window(window)
    with staged_file(settings.output) as stage:
        if stage.suffix.lower() == ".csv":
            table.to_csv(stage, index=False)
        else:
            table.to_parquet(stage, index=False)
    steps = forecaster.processor.prediction_length
    if window is None:
        return f"{len(table)} rows, {steps} steps from each series' end: {settings.output}"
    stamps = None if window.future is None else table[window.series.timestamp_column]
    when = "" if stamps is None else f" from {stamps.iloc[0]} to {stamps.iloc[-1]}"
    return f"{window.series.num_channels} series, {steps} steps{when}: {settings.output}"
