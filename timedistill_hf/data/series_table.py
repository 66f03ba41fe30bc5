"""A table of series that the model may never have seen: read leniently, each series with an end of its own."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .._utils.errors import InputError, listed
from ..student.clock_timedistill import Clock, TableError
from ..student.frames_timedistill import Scaler, forecast_frame, known_values, scaler_of
from ..student.panel_timedistill import Panel, read_panel
from ..tables.duplicates import check_duplicates, without_duplicates
from ..tables.grid import alike, find_frequency, fit_frequency
from ..tables.reading import KnownColumns, read_columns
from .processor import TimeDistillProcessor


if TYPE_CHECKING:
    from ..tables.table import Table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeriesTable:
    """A table read for forecasting series by series.

    Args:
        frame: the table, its time as datetimes.
        panel: its rows by group and time.
        scaler: what each series is standardised with.
        id_column, timestamp_column, target_columns: which column is what; no id column in a wide table.
        freq: of its steps, `None` where unknown.
        dates: whether its time column holds dates (`datetime.date`), so that dates are written.
    """

    frame: pd.DataFrame
    panel: Panel
    scaler: Scaler
    id_column: str | None
    timestamp_column: str | None
    target_columns: list[str]
    freq: str | None
    dates: bool

    @property
    def num_series(self) -> int:
        return self.panel.num_groups * len(self.target_columns)

    def names(self) -> list:
        """One name a series: its id, or its column in a wide table; `(id, column)` where each has several."""
        if self.panel.ids is None:
            return list(self.target_columns)
        ids = self.panel.ids.tolist()
        if len(self.target_columns) == 1:
            return ids
        return [(identifier, target) for identifier in ids for target in self.target_columns]

    def to_frame(self, forecasts: np.ndarray) -> pd.DataFrame:
        """`[G, S, K]` in the data's units as a table like the one given."""
        table = forecast_frame(
            self.frame,
            self.panel,
            forecasts,
            id_column=self.id_column,
            timestamp_column=self.timestamp_column,
            target_columns=self.target_columns,
        )
        if self.dates and self.timestamp_column in table:
            table[self.timestamp_column] = table[self.timestamp_column].dt.date
        return table


def read_series_table(
    frame: "Table",
    processor: TimeDistillProcessor,
    *,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    target_columns: list[str] | None = None,
    freq: str | None = None,
    time_zone: str | None = None,
    scaling: str = "auto",
    duplicates: str = "error",
) -> SeriesTable:
    """Read a wide or long table whose series need not be those of training.

    Args:
        frame: a DataFrame, or whatever [`plain_table`] reads.
        duplicates: see [`without_duplicates`].

    Raises:
        InputError: the table cannot be read, or its steps are not those of training and no `freq` says so.
    """
    check_duplicates(duplicates)
    time_zone = time_zone or processor.time_zone
    read = read_columns(
        frame,
        name="history",
        id_column=id_column,
        timestamp_column=timestamp_column,
        target_columns=target_columns,
        time_zone=time_zone,
        known=KnownColumns(
            processor.id_column,
            processor.timestamp_column,
            tuple(processor.target_columns or ()),
            tuple(processor.columns),
        ),
    )
    frame, id_column, timestamp_column = read.frame, read.id_column, read.timestamp_column
    target_columns = read.target_columns
    roles = (id_column, timestamp_column, target_columns)
    if timestamp_column is not None and duplicates != "error":
        frame = without_duplicates(frame, *roles, duplicates, "history", time_zone)
    columns = {"id_column": id_column, "timestamp_column": timestamp_column, "target_columns": target_columns}
    try:
        if timestamp_column is not None:
            freq = _frequency(frame, id_column, timestamp_column, time_zone, freq or processor.freq)
            if freq is None:
                logger.warning(
                    "history: no frequency is known, so rows are equal steps and forecasts have no time column"
                )
        panel = read_panel(
            frame,
            freq=freq if timestamp_column else None,
            time_zone=time_zone,
            missing_values=processor.sentinels,
            ahead=processor.prediction_length,
            **columns,
        )
        scaler = scaler_of(panel, target_columns, processor.to_dict(), scaling)
    except TableError as error:
        if timestamp_column is not None:
            without_duplicates(frame, *roles, "error", "history", time_zone)  # says more, where that is the reason
        raise InputError(f"history: {error}") from error
    return SeriesTable(frame, panel, scaler, freq=freq, dates=read.has_dates, **columns)


def warn_of_short(table: SeriesTable, processor: TimeDistillProcessor) -> None:
    """Say which series have less than a season of known values in the look-back, and which have none."""
    needed = max(1, min(processor.season, processor.context_length // 2))
    known, names = known_values(table.panel, processor.context_length).ravel(), None
    for is_short, consequence in (
        ((known > 0) & (known < needed), f"fewer than {needed} known values; their forecasts may be poor"),
        (known == 0, "no known value; their forecasts are missing"),
    ):
        if is_short.any():
            names = names or table.names()
            logger.warning(
                "history: of %d series %d have in the last %d steps %s: %s",
                len(known), is_short.sum(), processor.context_length, consequence,
                listed(names[index] for index in np.flatnonzero(is_short)),
            )  # fmt: skip


def _frequency(
    frame: pd.DataFrame, id_column: str | None, timestamp_column: str, time_zone: str | None, freq: str | None
) -> str | None:
    """`freq`, or of weeks and longer steps those on other days, as the longest series has it; found where `None`."""
    if freq is not None and len(alike(freq)) == 1:
        return freq
    longest = frame
    if id_column is not None:
        ids = frame[id_column]
        longest = frame[ids == ids.value_counts().index[0]]
    _, times = Clock.read(longest[timestamp_column], time_zone=time_zone, freq=freq)
    index = pd.DatetimeIndex(np.unique(times))
    return find_frequency(index) if freq is None else fit_frequency(index, freq) or freq
