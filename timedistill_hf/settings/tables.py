"""Settings of the scripts that read a table for a saved model: forecast and backtest."""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from .._utils.errors import InputError
from .._utils.table_files import READABLE, table_kind
from .run import DUPLICATES, NumberSettings, check_output


@dataclass
class TableSettings:
    """How a table is read whose series need not be those of training; see `Forecaster.predict_df`."""

    id_column: str | None = field(
        default=None, metadata={"help": "Column of series ids; that of training if not given and there."}
    )
    timestamp_column: str | None = field(
        default=None, metadata={"help": "Time column; that of training, or found by type or name, if not given."}
    )
    target_columns: list[str] | None = field(
        default=None, metadata={"help": "Value columns; those of training, or all others, if not given."}
    )
    freq: str | None = field(default=None, metadata={"help": "Pandas frequency, where it is not that of training."})
    time_zone: str | None = field(
        default=None,
        metadata={"help": "Zone whose clock the timestamps show, such as Europe/Berlin; that of training."},
    )
    scaling: str = field(
        default="auto",
        metadata={
            "help": "Standardise with the scaler of training the series that are known from it and others with their "
            "own look-back ('auto'), all with their own ('history'), or refuse unknown ones ('training').",
            "choices": ["auto", "history", "training"],
        },
    )
    duplicates: str = DUPLICATES

    def table_options(self) -> dict:
        """These settings, as `Forecaster.predict_df` and `backtest` take them."""
        return {each.name: getattr(self, each.name) for each in fields(TableSettings)}


@dataclass
class ForecastSettings(TableSettings, NumberSettings):
    """A table to forecast."""

    model: str = field(default=None, metadata={"help": "Folder or Hub id of a student or teacher with its processor."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit of a model on the Hub."})
    input: str = field(
        default=None,
        metadata={"help": "The history, wide or long: a .csv or .parquet file."},
    )
    output: str = field(default=None, metadata={"help": "The .csv or .parquet file to write the forecast to."})
    config: str | None = field(default=None, metadata={"help": "YAML or JSON file of these flags; flags override it."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the output file if there is one."})

    def __post_init__(self):
        check_files(self, "the .csv or .parquet file that holds the history")


@dataclass
class FleetSettings(TableSettings):
    """A fleet of series to forecast, Parquet to Parquet."""

    model: str = field(default=None, metadata={"help": "Folder or Hub id of a student with its processor."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit of a model on the Hub."})
    input: str = field(
        default=None,
        metadata={"help": "A long table: a .parquet file, or a folder of them; the rows of a series are together."},
    )
    output: str = field(
        default=None,
        metadata={
            "help": "The .parquet file to write the forecasts to; or a name without an ending, a folder of such "
            "files, in which a run that was cut off goes on."
        },
    )
    batch_size: int | None = field(
        default=None,
        metadata={"help": "Series in the model at once; as many as make four million values if not given."},
    )
    config: str | None = field(default=None, metadata={"help": "YAML or JSON file of these flags; flags override it."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the output file if there is one."})

    def __post_init__(self):
        check_given(
            self,
            model="the folder or Hub id of a trained student",
            input="the .parquet file, or folder of them, that holds the history",
            output="the .parquet file, or the folder, to write",
        )
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size={self.batch_size}: expected 1 or more")


@dataclass
class BacktestSettings(TableSettings, NumberSettings):
    """A rolling backtest of a saved model."""

    model: str = field(default=None, metadata={"help": "Folder or Hub id of a student or teacher with its processor."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit of a model on the Hub."})
    input: str = field(default=None, metadata={"help": "The table: a .csv or .parquet file."})
    output: str = field(
        default=None, metadata={"help": "The .csv or .parquet file for the forecasts; metrics go beside it as .json."}
    )
    num_windows: int | None = field(
        default=None, metadata={"help": "Windows a series; as many as have a full look-back if not given."}
    )
    step: int | None = field(default=None, metadata={"help": "Steps between cutoffs; the horizon if not given."})
    season: int | None = field(default=None, metadata={"help": "Steps of one season, for the naive control and MASE."})
    config: str | None = field(default=None, metadata={"help": "YAML or JSON file of these flags; flags override it."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the output files if there are any."})

    def __post_init__(self):
        check_files(self, "the .csv or .parquet file that holds the series")
        check_output(self.metrics_path, self.overwrite)

    @property
    def metrics_path(self) -> str:
        """Where the metrics go: beside the forecasts, with the ending `.json`."""
        return str(Path(self.output).with_suffix(".json"))


@dataclass
class ExportSettings:
    """A student to export."""

    model: str = field(default=None, metadata={"help": "Folder or Hub id of a student with its processor."})
    revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit of a model on the Hub."})
    output: str = field(default=None, metadata={"help": "The .onnx file to write."})
    units: str = field(
        default="data",
        metadata={
            "help": "'data': the graph takes and gives the training's columns in their own units, float64; "
            "'standardized': as the student itself, float32, for any number of channels where it is not bound to its "
            "own.",
            "choices": ["data", "standardized"],
        },
    )
    config: str | None = field(default=None, metadata={"help": "YAML or JSON file of these flags; flags override it."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the output file if there is one."})

    def __post_init__(self):
        check_given(self, model="the folder or Hub id of a trained student", output="the .onnx file to write")
        if Path(self.output).suffix.lower() != ".onnx":
            raise InputError(f"output={self.output!r}: expected a name that ends in .onnx")
        check_output(self.output, self.overwrite)


def check_files(settings: ForecastSettings | BacktestSettings, input_is: str) -> None:
    """Raise where model, input or output is missing or is no table, or the output would replace something."""
    check_given(
        settings,
        model="the folder or Hub id of a trained student or teacher",
        input=input_is,
        output="the .csv or .parquet file to write",
    )
    if table_kind(settings.input) is None:
        raise InputError(f"input={settings.input!r}: expected a name that ends in .csv or .parquet, of a {READABLE}")
    if Path(settings.output).suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"output={settings.output!r}: expected a name that ends in .csv or .parquet")
    if not os.path.isfile(settings.input):
        raise InputError(f"input={settings.input!r}: there is no such file")
    check_output(settings.output, settings.overwrite)
    if Path(settings.output).exists() and Path(settings.output).samefile(settings.input):
        raise InputError(f"output={settings.output!r} is the input: give the result a file of its own")


def check_given(settings: object, **wanted: str) -> None:
    """Raise where a setting is missing; `wanted` says of each by its name what it is to be."""
    for name, what in wanted.items():
        if getattr(settings, name) is None:
            raise InputError(f"`{name}` is missing: give {what}")
