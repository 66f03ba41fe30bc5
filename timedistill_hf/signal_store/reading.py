"""Forecasts in a table become one array of windows, in bounded memory and without a loop over rows.

A row is one forecast step, or all steps of one forecast:

| column | holds |
| --- | --- |
| `series` or `id` | the channel's name; may be left out where there is only one |
| `origin` | the first step that is forecast: its timestamp, or its row number in the data |
| `step` | 1 for the first step, where a row is one step |
| `forecast` | a number, or without `step` a list of at least S numbers, in the data's units |
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .._utils.errors import InputError, did_you_mean, listed
from ..data.series import Series
from ..tables import table as tables
from ..tables.files import reason


Table: TypeAlias = "str | Path | tables.Table"

SERIES_COLUMNS = ("series", "id")
_BATCH_VALUES = 2**19


@dataclass(frozen=True)
class ForecastRows:
    """A batch of rows.

    Args:
        row: of the data that the forecast begins at, `[R]`.
        channel: `[R]`.
        step: from 0, `[R]`; `None` where a row holds all steps.
        values: `[R]`, or `[R, S]`, in the data's units.
    """

    row: np.ndarray
    channel: np.ndarray
    step: np.ndarray | None
    values: np.ndarray


class ForecastTable:
    """A table of forecasts for a series' windows, read batch by batch.

    Args:
        source: a Parquet file, or any table in memory that [`as_frame`] reads.
        series: the data that were forecast.
        prediction_length: S; longer forecasts are cut to it.

    Raises:
        InputError: it cannot be read or lacks a column; and, when rows are read, ids or origins that the data do not
            have, shorter forecasts, missing or infinite values.
    """

    def __init__(self, source: Table, series: Series, prediction_length: int):
        is_file = isinstance(source, (str, Path))
        self.name = repr(str(source)) if is_file else f"the {type(source).__name__}"
        self.series = series
        self.prediction_length = prediction_length
        if is_file and not Path(source).is_file():
            raise InputError(f"forecasts {self.name}: there is no such file; give a .parquet file of forecasts")
        with self._readable():
            if is_file:
                self._source = pq.ParquetFile(source, pre_buffer=False)  # a buffer would keep the whole file
            else:
                self._source = pa.Table.from_pandas(tables.as_frame(source, self.name), preserve_index=False)
            self._columns = self._find_columns((self._source.schema_arrow if is_file else self._source.schema).names)

    @property
    def is_tidy(self) -> bool:
        """Whether a row is one step."""
        return "step" in self._columns

    def rows(self) -> Iterator[ForecastRows]:
        """All rows, some thousand at a time, whatever the size of the file's row groups."""
        size = _BATCH_VALUES if self.is_tidy else max(1, _BATCH_VALUES // self.prediction_length)
        names = list(self._columns.values())
        with self._readable():
            if isinstance(self._source, pq.ParquetFile):
                batches = self._source.iter_batches(batch_size=size, columns=names)
            else:
                batches = iter(self._source.select(names).to_batches(max_chunksize=size))
            for batch in batches:
                batch.validate(full=True)
                if batch.num_rows:
                    yield self._parse({name: batch.column(column) for name, column in self._columns.items()})

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except Exception as error:  # of a damaged file the library raises errors of many kinds
            raise InputError(
                f"forecasts {self.name} cannot be read as a table: {reason(error)}; write them anew, one type a column"
            ) from error

    def _find_columns(self, names: list[str]) -> dict[str, str]:
        for name in ("origin", "forecast"):
            if name not in names:
                raise InputError(
                    f"{self.name} has columns {listed(names)}, but no {name!r}{did_you_mean(name, names)}: a table of "
                    "forecasts has series, origin and forecast (a list), or series, origin, step and forecast"
                )
        ids = [name for name in SERIES_COLUMNS if name in names]
        if len(ids) > 1 or (not ids and self.series.num_channels > 1):
            has = "both 'series' and 'id'" if ids else "neither 'series' nor 'id'"
            raise InputError(
                f"{self.name} has {has}: expected one column with the names of the {self.series.num_channels} channels"
            )
        columns = {name: name for name in ("origin", "forecast", "step") if name in names}
        return columns | ({"series": ids[0]} if ids else {})

    def _parse(self, columns: dict[str, pa.Array]) -> ForecastRows:
        for name, column in columns.items():
            if column.null_count:
                raise InputError(f"{self.name}: column {self._columns[name]!r} has empty cells: leave out such rows")
        row = self._rows_of(columns["origin"])
        channel = self._channels(columns["series"]) if "series" in columns else np.zeros(len(row), dtype=np.int64)
        values = self._values(columns["forecast"])
        if not np.isfinite(values).all():
            at = np.argwhere(~np.isfinite(values))[0][0]
            raise InputError(
                f"{self.name}: the forecast of {self.series.columns[channel[at]]!r} from row {row[at]} holds NaN or "
                "infinite values: leave it out"
            )
        if not self.is_tidy:
            return ForecastRows(row, channel, None, values)
        step = self._integers(columns["step"], "step")
        if step.min() < 1:
            raise InputError(f"{self.name}: column 'step' holds {step.min()}: expected whole numbers from 1")
        kept = step <= self.prediction_length
        return ForecastRows(row[kept], channel[kept], step[kept] - 1, values[kept])

    def _values(self, column: pa.Array) -> np.ndarray:
        """The forecasts: `[R]` of a tidy table, of any other the first S values of every list, `[R, S]`."""
        kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        if any(is_list(column.type) for is_list in kinds) == self.is_tidy:
            expected = "one number a row beside 'step'" if self.is_tidy else "a list a row, or a column 'step'"
            raise InputError(f"{self.name}: column 'forecast' is of type {column.type}: expected {expected}")
        if self.is_tidy:
            return self._numbers(column)
        lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
        if lengths.min() < self.prediction_length:
            raise InputError(
                f"{self.name}: a forecast has {lengths.min()} steps, the task {self.prediction_length}: pass "
                f"`prediction_length={lengths.min()}`, or forecast further"
            )
        flat = column.flatten()
        if flat.null_count:
            raise InputError(f"{self.name}: a forecast holds NaN or empty values: leave it out")
        starts = np.cumsum(lengths) - lengths
        return self._numbers(flat)[starts[:, None] + np.arange(self.prediction_length)]

    def _numbers(self, column: pa.Array) -> np.ndarray:
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise InputError(f"{self.name}: column 'forecast' holds {column.type}: expected numbers")
        return column.to_numpy(zero_copy_only=False).astype(np.float64)

    def _integers(self, column: pa.Array, name: str) -> np.ndarray:
        if not pa.types.is_integer(column.type):
            raise InputError(f"{self.name}: column {name!r} is of type {column.type}: expected whole numbers")
        return column.to_numpy(zero_copy_only=False).astype(np.int64)

    def _channels(self, column: pa.Array) -> np.ndarray:
        names = pa.array([str(name) for name in self.series.columns])
        found = pc.index_in(column.cast(pa.string()), names)
        if found.null_count:
            wrong = str(column.filter(pc.is_null(found))[0].as_py())
            known = did_you_mean(wrong, self.series.columns, f": they have {listed(self.series.columns)}")
            raise InputError(f"{self.name}: the data have no series {wrong!r}{known}")
        return found.to_numpy(zero_copy_only=False).astype(np.int64)

    def _rows_of(self, column: pa.Array) -> np.ndarray:
        """The row of the data that each origin names."""
        if pa.types.is_integer(column.type):
            rows, given = self._integers(column, "origin"), f"rows 0 to {self.series.num_rows - 1}"
        else:
            rows, given = self._rows_at(column)
        wrong = (rows < 0) | (rows >= self.series.num_rows)
        if wrong.any():
            raise InputError(
                f"{self.name}: origin {column[int(wrong.argmax())].as_py()} is not in the data, which have {given}: "
                "an origin is the first step that is forecast"
            )
        return rows

    def _rows_at(self, column: pa.Array) -> tuple[np.ndarray, str]:
        stamps = self.series.timestamps
        if stamps is None:
            raise InputError(
                f"{self.name}: origins of type {column.type}, but the data have no time column: give row numbers"
            )
        try:
            times = pd.DatetimeIndex(pd.to_datetime(column.to_pandas(), utc=True)).tz_localize(None)
        except Exception as error:  # of a zone or a date that is none every library has errors of its own
            raise InputError(
                f"{self.name}: origins of type {column.type} are no timestamps ({reason(error)}): give timestamps or "
                "row numbers"
            ) from error
        index = pd.DatetimeIndex(stamps).as_unit("ns")
        given = f"timestamps {index[0]} to {index[-1]} (UTC), every {self.series.freq or 'step'}"
        return index.get_indexer(times.as_unit("ns")), given
