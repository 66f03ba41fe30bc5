"""Which columns of a fleet's table are what, and whole series out of it, some at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from ..._utils.errors import InputError, listed
from ...data.channels import Channels, read_history
from ...data.processor import TimeDistillProcessor
from ...tables.columns import choose_columns
from ...tables.output import forecast_frame
from .extents import Extents
from .table import FleetTable


_IDS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_boolean,
    pa.types.is_decimal,
    pa.types.is_date,
    pa.types.is_timestamp,
)


def find_columns(
    table: FleetTable,
    processor: TimeDistillProcessor,
    *,
    id_column: str | None,
    timestamp_column: str | None,
    target_columns: list[str] | None,
) -> tuple[str, str]:
    """The columns of ids and of time, by the rules of [`read_columns`].

    Raises:
        InputError: there is none, or the time is text, which is not read alike in all parts of a table.
    """
    source, names = str(table.paths[0]), table.schema.names
    empty = table.to_pandas(table.schema.empty_table())
    _, id_column, timestamp_column = choose_columns(
        empty, source, id_column, timestamp_column, target_columns or [], vars(processor)
    )
    if id_column is None:
        raise InputError(
            f"{source!r} has no known id column: name it with `id_column`, one of {listed(names)} (a wide table, one "
            "column a series, is for Forecaster.predict)"
        )
    if timestamp_column is None:
        raise InputError(f"{source!r} has no known time column: name it with `timestamp_column`")
    kind = table.schema.field(timestamp_column).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise InputError(
            f"the time column {timestamp_column!r} of {source!r} holds {kind}: write timestamps or dates, such as "
            "those of pandas.to_datetime, or give another timestamp_column"
        )
    ids = table.schema.field(id_column).type
    ids = ids.value_type if pa.types.is_dictionary(ids) else ids
    if not any(is_kind(ids) for is_kind in _IDS):
        raise InputError(
            f"the id column {id_column!r} of {source!r} holds {ids}: write text or numbers, or give another id_column"
        )
    return id_column, timestamp_column


@dataclass(frozen=True)
class FleetReader:
    """Reads whole series, as far as their forecasts can hang on them.

    Args:
        columns: those to read.
        starts, ends: `[G]`, the rows of each series; see [`Extents.starts`].
        options: for `predict_df`: what each column is, and what was found in the table before.
        schema: of the forecasts: ids as in the table, timestamps with its zone and unit, float64 values.
    """

    table: FleetTable
    columns: list[str]
    starts: np.ndarray
    ends: np.ndarray
    options: dict
    schema: pa.Schema

    @classmethod
    def make(
        cls, table: FleetTable, extents: Extents, processor: TimeDistillProcessor, options: dict
    ) -> "FleetReader":
        """Find the value columns and the frequency in the last look-back of the longest series.

        Args:
            options: those of `predict_df`, with `id_column` and `timestamp_column`.

        Raises:
            InputError: the table cannot be read, or no frequency is known.
        """
        starts, ends = extents.starts(processor.context_length), extents.ends
        longest = slice(extents.longest, extents.longest + 1)
        names = [str(name) for name in table.schema.names]
        reader = cls(table, names, starts, ends, options, table.schema)
        frame = next(reader.frames(longest, 1))[0]
        reading = {name: value for name, value in options.items() if name != "scaling"}
        read = read_history(frame, vars(processor), processor.prediction_length, **reading)
        Channels.of(read, vars(processor), options["scaling"])  # whether it is one, before long work
        if read.freq is None:
            raise InputError(
                f"neither the model's training nor {str(table.paths[0])!r} says how far apart steps are: give freq, "
                "such as freq='h'"
            )
        forecast = forecast_frame(read, np.zeros((1, processor.prediction_length, len(read.target_columns))))
        options = options | {"target_columns": read.target_columns, "freq": read.freq}
        wanted = {read.id_column, read.timestamp_column, *read.target_columns}
        schema = pa.Schema.from_pandas(forecast, preserve_index=False)
        position = schema.get_field_index(read.id_column)
        schema = schema.set(position, pa.field(read.id_column, table.schema.field(read.id_column).type))
        return cls(table, [name for name in names if name in wanted], starts, ends, options, schema)

    def frames(self, series: slice, most_rows: int) -> Iterator[tuple[pd.DataFrame, int]]:
        """Tables of whole series, in order, and how many each holds; with about `most_rows` rows, or of one series."""
        starts, ends = self.starts[series], self.ends[series]
        pending, rows, done = [], 0, 0
        for first, batch in self.table.batches(self.columns, starts, ends):
            row = first + batch.num_rows
            batch = _rows_within(batch, first, starts, ends)
            pending.append(batch)
            rows += batch.num_rows
            whole = int(np.searchsorted(ends, row, side="right"))
            is_last = whole == len(ends)
            if whole == done or (rows < most_rows and not is_last):
                continue
            rest = 0 if is_last else max(0, row - int(starts[whole]))
            together = pa.Table.from_batches(pending)
            yield self.table.to_pandas(together.slice(0, rows - rest)), whole - done
            pending, rows, done = together.slice(rows - rest).to_batches(), rest, whole


def _rows_within(batch: pa.RecordBatch, row: int, starts: np.ndarray, ends: np.ndarray) -> pa.RecordBatch:
    """The rows of a batch, which begins at `row` of the table, that lie in any range."""
    first, last = np.searchsorted(ends, row, side="right"), np.searchsorted(starts, row + batch.num_rows)
    change = np.zeros(batch.num_rows + 1, dtype=np.int64)
    np.add.at(change, np.clip(starts[first:last] - row, 0, None), 1)
    np.add.at(change, np.clip(ends[first:last] - row, None, batch.num_rows), -1)
    is_within = np.cumsum(change[:-1]) > 0
    try:
        return batch if is_within.all() else batch.filter(pa.array(is_within))
    except pa.ArrowException as error:
        raise InputError(f"the table holds columns of a type that Arrow cannot select rows of ({error})") from error
