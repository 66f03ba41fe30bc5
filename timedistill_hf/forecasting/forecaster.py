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
from ..student import inference_copy
from ..student.inputs_timedistill import Windows, read_windows
from ..student.serving_timedistill import UnusableWindow, forecast_in_units, is_channel_free
from ..teachers import Teacher
from ..teachers.loading import check_fits, commit_of_model, load_model, load_processor


if TYPE_CHECKING:
    import pandas as pd

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
        self,
        history: "np.ndarray | torch.Tensor | list | Table",
        *,
        id_column: str | None = None,
        timestamp_column: str | None = None,
        target_columns: list[str] | None = None,
        freq: str | None = None,
        time_zone: str | None = None,
        scaling: str = "auto",
        duplicates: str = "error",
        batch_size: int | None = None,
    ) -> "np.ndarray | list[np.ndarray] | pd.DataFrame":
        """Forecast what follows each series, from its own end on, in the data's units.

        A student whose weights are free of the channel count (`model.config.is_channel_bound` is false) forecasts any
        series; one that is bound forecasts those of its training. Both forecast each on its own, so that one that is
        short or broken harms no other. Any other model may look across series: it takes all of its training at common
        steps. Only the last look-back counts; what a series lacks in it is missing.

        Args:
            history: an array or tensor `[T]`, `[T, C]` or `[B, T, C]`, NaN or masked where missing, the channels those
                of training in their order or, of a student that is free of them, any; a list of such, of any lengths;
                or a table, wide (a column a series) or long (id, time, one or more value columns): a DataFrame of
                pandas or polars, an Arrow table, a `datasets.Dataset`.
            id_column: column of ids, of any type; what the index says, or that of training, where `None`, if the table
                has it, else the table is wide.
            timestamp_column: that of training, or found by type or name, where `None`.
            target_columns: value columns; those of training in a table that has all of them, all others where `None`.
            freq: pandas frequency of the table, where it is not that of training.
            time_zone: whose clock timestamps without a zone show (`"Europe/Berlin"`), or whose calendar others follow;
                that of training where `None`.
            scaling: `"auto"` standardises a series that is known from training as there, another with mean and
                deviation of its own look-back; `"history"` all with their own; `"training"` accepts only known ones.
            duplicates: what several rows of one series at one time become: `"error"`, `"last"` of them or their
                `"mean"`.
            batch_size: series in the model at once; as many as make four million values where `None`.

        Returns:
            `[S]`, `[S, C]` or `[B, S, C]`, a list of these, or a table like the one given: its columns in their order,
            `prediction_length` rows an id, ids in the order of their first rows, timestamps in the table's zone.
            Forecasts are float64, NaN, with a warning, for a series without any value in its look-back.

        Raises:
            InputError: the history cannot be read, its steps are not those of training, or the model cannot forecast
                one of the series.
        """
        self.inference_copy.eval()
        options = {"scaling": scaling, "batch_size": batch_size}
        columns = {"id_column": id_column, "timestamp_column": timestamp_column, "target_columns": target_columns}
        columns |= {"freq": freq, "time_zone": time_zone, "duplicates": duplicates}
        from ..tables.table import is_table

        if is_table(history):
            from .panels import forecast_table

            return forecast_table(self.inference_copy, vars(self.processor), history, **options, **columns)
        if not isinstance(history, (np.ndarray, torch.Tensor, list, tuple)):
            raise InputError(f"{type(history).__name__!r} is no kind of history: give a DataFrame or an array")
        given = [name for name, value in columns.items() if value not in (None, "error")]
        if given:
            raise InputError(f"{given[0]}={columns[given[0]]!r} is for tables, the history is no DataFrame")
        return self._predict_arrays(history, **options)

    def predict_df(self, df: "Table", **options: Any) -> "pd.DataFrame":
        """[`predict`](Forecaster.predict) of a table, by another name."""
        from ..tables.table import is_table

        if not is_table(df):
            raise InputError(f"{type(df).__name__!r} is no DataFrame: predict takes arrays")
        return self.predict(df, **options)

    def _predict_arrays(
        self, history: "np.ndarray | torch.Tensor | list", scaling: str, batch_size: int | None
    ) -> "np.ndarray | list[np.ndarray]":
        from .panels import warn_of_short

        processor, model = self.processor, self.inference_copy
        if processor.time_features:
            raise InputError("the model needs calendar features: give a table with a time column, not an array")
        channels = None if is_channel_free(model.config) else len(processor.columns)
        try:
            windows = read_windows(history, vars(processor), processor.context_length, channels, scaling)
        except ValueError as error:
            raise InputError(f"history: {error}") from error
        if not windows.answers:
            return []
        known = (~windows.past.isnan()).sum(dim=1).numpy().ravel()
        warn_of_short(known, lambda: self._names(windows), processor.context_length, processor.season)
        try:
            forecast, _ = forecast_in_units(
                model, windows.past, windows.mean, windows.std, batch_size=batch_size, run=run_model
            )
        except UnusableWindow as error:
            name = self._names(windows)[error.window * windows.past.shape[2] + error.channel]
            raise InputError(f"history: the series {name!r} {error.reason}") from error
        answers = list(windows.split(forecast))
        return answers if windows.is_list else answers[0]

    def _names(self, windows: Windows) -> list[str]:
        """What each series of some arrays is called in a message."""
        names = []
        for number, answer in enumerate(windows.answers):
            columns = self.processor.columns
            columns = columns if answer.channels == len(columns) else range(answer.channels)
            of = f" of input {number}" if len(windows.answers) > 1 else ""
            names += [f"{column}{of}" for column in columns] * answer.batch
        return names


def forecast_file(settings: ForecastSettings) -> str:
    """Forecast what follows the series of one file and write it to another, on the accelerator where there is one.

    Returns:
        What was done, on one line.

    Raises:
        InputError: model or table cannot be used as given; nothing is written then.
    """
    from ..data.channels import read_history
    from ..tables.files import read_file
    from .panels import forecast_panel

    forecaster = Forecaster.from_pretrained(settings.model, revision=settings.revision)
    processor = vars(forecaster.processor)
    frame = read_file(settings.input, settings.id_column or processor["id_column"], **settings.number_signs())
    options = settings.table_options()
    scaling = options.pop("scaling")
    panel = read_history(frame, processor, processor["prediction_length"], **options)
    if torch.accelerator.is_available():
        forecaster.to(torch.accelerator.current_accelerator())
    table = forecast_panel(forecaster.inference_copy.eval(), processor, panel, scaling=scaling)
    with staged_file(settings.output) as stage:
        if stage.suffix.lower() == ".csv":
            table.to_csv(stage, index=False)
        else:
            table.to_parquet(stage, index=False)
    steps, when = processor["prediction_length"], ""
    if panel.grid is not None:
        stamps = table[panel.timestamp_column]
        is_common = stamps[::steps].nunique() == 1
        when = f" from {stamps.iloc[0]} to {stamps.iloc[-1]}" if is_common else " from each series' end"
    return f"{panel.num_series} series, {steps} steps{when}: {settings.output}"
