"""From a table to a [`Series`]: which column is time, which are values, wide or long, regular or not."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from .._utils.errors import InputError
from ..student.clock_timedistill import Clock, TableError
from ..tables.duplicates import without_duplicates
from ..tables.grid import check_frequency, fill_grid, find_frequency, season_of
from ..tables.reading import read_columns
from .series import Series


if TYPE_CHECKING:
    from ..tables.table import Table

logger = logging.getLogger(__name__)

_TIME = 0  # the label of the time column while channels have names of their own: theirs are text


def frame_to_series(
    frame: "Table",
    *,
    name: str,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    season: int | None = None,
    regularize: bool = True,
    freq: str | None = None,
    time_zone: str | None = None,
    duplicates: str = "error",
) -> Series:
    """Read a wide table (one column a channel) or, with an id column, a long one (id, timestamp, value).

    Rules: the time column is the one named, else the first of datetime type, or called date, timestamp, datetime, time
    or ds, else an index of timestamps or a nameless first column of dates. A nameless first column of whole numbers is
    a saved index and is left out. All timestamps have a time zone, or none. With one, steps shorter than a day are
    counted in UTC, days and longer ones on the zone's calendar ([`Clock`]). Rows are sorted by time. A long table
    becomes one channel per id and value column, missing where an id has no row. Steps left out of an otherwise regular
    series are put back as missing; where there is no grid, rows are taken as equal steps. Text that reads as a number
    in every row of a column is one.

    Args:
        season: steps of one season; read from the frequency where `None`.
        regularize: `False` keeps rows and order as they are, as the benchmarks need.
        freq: pandas frequency: how far apart steps are, left-out ones among them; found where `None`
            ([`find_frequency`]).
        time_zone: whose clock timestamps without a zone show, or whose calendar those with one follow.
        duplicates: what several rows of one series at one time become; see [`without_duplicates`].

    Raises:
        InputError: empty, no value column, a cell that is no number or beyond float32, duplicated or unreadable
            timestamps, some with a time zone and some without, columns that are unknown, have one name or two roles,
            timestamps that are not `freq` apart.
    """
    table = read_columns(
        frame,
        name=name,
        timestamp_column=timestamp_column,
        id_column=id_column,
        target_columns=target_columns,
        time_zone=time_zone,
    )
    frame, columns = table.frame, table.target_columns
    timestamp_column, id_column = table.timestamp_column, table.id_column
    clock = targets = timestamps = found = None
    if timestamp_column is not None:
        if regularize or id_column is not None:
            frame = without_duplicates(
                frame, id_column, timestamp_column, columns, duplicates, name, time_zone=time_zone
            )
        frame = frame.rename(columns={timestamp_column: _TIME})
        clock, frame[_TIME] = _read_clock(frame, id_column, name, time_zone, freq)
    if id_column is not None:
        targets = tuple(columns)
        frame = _long_to_wide(frame, id_column, columns, name)
        columns = [column for column in frame.columns if column != _TIME]
    if timestamp_column is not None:
        if regularize:
            frame = _sort(frame, name)
            frame, found = fill_grid(frame, _TIME, name, freq)
        else:
            index = pd.DatetimeIndex(np.unique(frame[_TIME]))
            found = find_frequency(index) if freq is None else check_frequency(index, freq, name)
        timestamps = frame[_TIME].to_numpy().astype("datetime64[ns]")
    values = frame[columns].to_numpy(dtype=np.float64, na_value=np.nan)
    return Series(
        values=torch.from_numpy(np.array(values)),
        columns=tuple(columns),
        timestamps=timestamps,
        timestamp_column=timestamp_column,
        freq=found,
        season=season or season_of(found),
        name=name,
        id_column=id_column,
        target_columns=targets,
        regularized=regularize,
        clock=clock,
        time_zone=time_zone,
    )


def _read_clock(
    frame: pd.DataFrame,
    id_column: str | None,
    source: str,
    time_zone: str | None,
    freq: str | None,
) -> tuple[Clock, np.ndarray]:
    codes = None if id_column is None else pd.factorize(frame[id_column])[0]
    try:
        return Clock.read(frame[_TIME], codes, time_zone=time_zone, freq=freq)
    except TableError as error:
        raise InputError(f"{source!r}: {error}") from error


def _long_to_wide(frame: pd.DataFrame, id_column: str, targets: list[str], source: str) -> pd.DataFrame:
    order = frame[id_column].drop_duplicates().tolist()
    wide = frame.pivot(index=_TIME, columns=id_column, values=targets)
    wide = wide[[(target, identifier) for identifier in order for target in targets]]
    wide.columns = [channel for identifier in order for channel in channel_names(identifier, targets)]
    if not wide.columns.is_unique:
        twice = wide.columns[wide.columns.duplicated()][0]
        raise InputError(
            f"{source!r} has different ids that are both written {twice!r} (a number and a text, say) in column "
            f"{id_column!r}: write them alike"
        )
    return wide.reset_index()


def channel_names(identifier: object, targets: Sequence[str]) -> list[str]:
    """What the channels of one id of a long table are called: the id, or `id/target` with several value columns."""
    return [str(identifier)] if len(targets) == 1 else [f"{identifier}/{target}" for target in targets]


def _sort(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    if not frame[_TIME].is_monotonic_increasing:
        logger.warning("%s: rows were not in order of time and have been sorted", source)
        frame = frame.sort_values(_TIME, kind="stable")
    return frame.reset_index(drop=True)
