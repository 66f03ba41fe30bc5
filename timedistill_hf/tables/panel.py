"""The one reader: a table, wide or long, as a [`Panel`] of series, each with a start and an end of its own."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .._utils.errors import InputError
from ..student.serving_timedistill import means_missing
from .cells import shown
from .clock import Clock, offset_of
from .columns import NOTHING_KNOWN, TableColumns, likely_id, read_columns
from .grid import MAX_STEPS, Grid, find_frequency, fit_frequency


if TYPE_CHECKING:
    from .table import Table

logger = logging.getLogger(__name__)

_FEW_ROWS = 8

DUPLICATES = ("error", "last", "mean")
_MAX_CELLS = 2**28


@dataclass(frozen=True)
class Panel:
    """Rows of many groups in order of group and time; each value column of a group is a series.

    Args:
        name: what messages call the table.
        columns: its columns, in its order.
        id_column, timestamp_column, target_columns: which column is what; a wide table is one group without ids.
        ids: the groups in the order of their first rows, as given; `None` for a wide table.
        values: float64 `[n, K]`, the value columns, NaN where missing.
        first: `[G + 1]`, the rows of group g are `first[g]` to `first[g + 1]`.
        number: `[n]`, each row's step.
        times: `datetime64[ns]` `[n]` on the clock; `None` without a time column.
        phase: `[G]`, where on the grid each group lies.
        freq, grid: how far apart steps are; `None` where rows are equal steps.
        clock: how timestamps are read and written.
        has_dates: whether the time column held dates (`datetime.date`).
        is_regular: whether steps are those of the grid; otherwise rows are, as they come, up to the last timestamp.
    """

    name: str
    columns: tuple[str, ...]
    id_column: str | None
    timestamp_column: str | None
    target_columns: list[str]
    ids: pd.Series | None
    values: np.ndarray
    first: np.ndarray
    number: np.ndarray
    times: np.ndarray | None
    phase: np.ndarray
    freq: str | None
    grid: Grid | None
    clock: Clock | None
    has_dates: bool = False
    is_regular: bool = True

    @property
    def num_groups(self) -> int:
        return len(self.first) - 1

    @property
    def num_series(self) -> int:
        return self.num_groups * len(self.target_columns)

    @cached_property
    def last(self) -> np.ndarray:
        """`[G]`: the step of each group's last row."""
        return self.number[self.first[1:] - 1]

    @cached_property
    def lengths(self) -> np.ndarray:
        """`[G]`: steps from each group's first row to its last."""
        return self.last - self.number[self.first[:-1]] + 1

    @cached_property
    def group(self) -> np.ndarray:
        """`[n]`: each row's group."""
        return np.repeat(np.arange(self.num_groups), np.diff(self.first))

    def series_names(self) -> list:
        """One name a series: its id, or its column in a wide table; `(id, column)` where each id has several."""
        if self.ids is None:
            return list(self.target_columns)
        ids = self.ids.tolist()
        if len(self.target_columns) == 1:
            return ids
        return [(identifier, target) for identifier in ids for target in self.target_columns]

    def block(self, groups: slice, length: int, last: np.ndarray | None = None) -> np.ndarray:
        """Float64 `[g, length, K]`: the last steps of these groups, NaN where there is no row.

        Args:
            last: `[g]`, the step that each ends with; that of its own last row where `None`.
        """
        starts, ends = self.first[:-1][groups], self.first[1:][groups]
        last = self.last[groups] if last is None else last
        rows = slice(int(starts[0]), int(ends[-1]))
        group = self.group[rows] - self.group[rows.start]
        position = self.number[rows] - last[group] + length - 1
        inside = (position >= 0) & (position < length)
        block = np.full((len(starts), length, self.values.shape[1]), np.nan)
        block[group[inside], position[inside]] = self.values[rows][inside]
        return block

    def together(self) -> tuple[np.ndarray, np.ndarray | None]:
        """All series at common steps: float64 `[T, G * K]`, NaN where one has no row, and their times `[T]`.

        Raises:
            InputError: they lie so far apart that their steps would fill the memory.
        """
        number, times = self.number, self.times
        if times is not None and self.grid is None and self.num_groups > 1:
            times, number = np.unique(times, return_inverse=True)
        first, last = int(number.min()), int(number.max())
        steps = last - first + 1
        if self.grid is not None and self.is_regular:
            self._check_left_out(len(np.unique(number)), steps)
            times = self.grid.times(np.arange(first, last + 1), self.phase[0])
        values = np.full((steps, self.num_groups, self.values.shape[1]), np.nan)
        values[number - first, self.group] = self.values
        return values.reshape(steps, -1), times

    def _check_left_out(self, rows: int, steps: int) -> None:
        if steps > MAX_STEPS * rows and steps * self.num_series > _MAX_CELLS:
            start, end = (pd.Timestamp(time) for time in (self.times.min(), self.times.max()))
            raise InputError(
                f"the {rows} rows of {self.name!r} reach from {start} to {end}, {steps:,} steps of {self.freq!r}: "
                "leave out the rows that stand apart, or give the table's own freq"
            )
        if steps > rows:
            logger.warning(
                "%s: %d of %d steps have no row and count as missing (freq %r)%s",
                self.name, steps - rows, steps, self.freq,
                "; such steps are forecast too" if steps > 2 * rows else "",
            )  # fmt: skip


def read_panel(
    table: "Table",
    name: str,
    *,
    id_column: str | None = None,
    timestamp_column: str | None = None,
    target_columns: list[str] | None = None,
    freq: str | None = None,
    time_zone: str | None = None,
    duplicates: str = "error",
    missing_values: tuple[float, ...] = (),
    known: Mapping = NOTHING_KNOWN,
    ahead: int = 0,
    in_common: bool = False,
    regularize: bool = True,
) -> Panel:
    """Read a wide table (no id column) or a long one, in time that grows with its rows, not with its ids.

    Rows are put in order of time. Steps shorter than a day are counted in UTC where timestamps have a zone, days and
    longer ones on the zone's calendar ([`Clock`]). Where there is no grid, rows are taken as equal steps.

    Args:
        table: a DataFrame, or whatever [`plain_table`] reads.
        name: what messages call it.
        id_column, timestamp_column, target_columns, known: which column is what; see [`read_columns`].
        freq: pandas frequency; of weeks and longer steps one on other days may be taken. Found where `None`.
        time_zone: see [`Clock.read`].
        duplicates: what several rows of one series at one time become: `"error"`, `"last"` of them as they come, or
            the `"mean"` of the values that are known.
        missing_values: values that mean missing.
        ahead: how many steps after the last ones timestamps are needed for.
        in_common: whether all series must lie on one grid; otherwise each may lie on its own, of the same frequency.
        regularize: `False` takes the rows of a wide table (with `known`, of its columns) as steps, as they come.

    Raises:
        InputError: the table cannot be read; a series has two rows at one time, rows off the grid or further apart,
            or an infinite value.
    """
    check_duplicates(duplicates)
    roles = {"id_column": id_column, "timestamp_column": timestamp_column, "target_columns": target_columns}
    columns = read_columns(table, name, time_zone=time_zone, known=known, **roles)
    frame, time = columns.frame, columns.timestamp_column
    codes, ids = columns.codes, None
    if columns.id_column is not None:
        ids = frame[columns.id_column][~pd.Series(codes).duplicated().to_numpy()].reset_index(drop=True)
    values = _values(frame, columns.target_columns, missing_values, name)
    clock = times = None
    if time is not None:
        clock, times = Clock.read(frame[time], codes, time_zone=time_zone, freq=freq)
    is_of_training = not known or set(columns.target_columns) == set(known.get("columns", ()))
    is_regular = regularize or ids is not None or not is_of_training
    if is_regular:
        codes, times, values = _in_order(codes, times, values, columns, duplicates, name)
    first = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    if times is not None:
        freq = _frequency(times, first, freq, in_common or not is_regular, name if is_regular else None)
    grid = None if times is None or freq is None else Grid(times if is_regular else np.unique(times), freq, ahead)
    number, phase = np.arange(len(codes)) - first[codes], np.zeros(len(codes), dtype=np.int64)
    if grid is not None:
        borders = first if is_regular else np.array([0, len(grid.number)])
        _check_grid(grid, borders, in_common, lambda code: _called(name, columns.id_column, ids, code))
        if is_regular:
            number, phase = grid.number, grid.phase
        else:
            number, phase = number + grid.number[-1] - number[-1], np.full_like(phase, grid.phase[-1])
    return Panel(
        name=name,
        columns=tuple(frame.columns),
        id_column=columns.id_column,
        timestamp_column=time,
        target_columns=columns.target_columns,
        ids=ids,
        values=values,
        first=first,
        number=number,
        times=times,
        phase=phase[first[1:] - 1],
        freq=freq if times is not None else None,
        grid=grid,
        clock=clock,
        has_dates=columns.has_dates,
        is_regular=is_regular,
    )


def check_duplicates(duplicates: str) -> None:
    """Raise where it is none of the rules."""
    if duplicates not in DUPLICATES:
        raise InputError(f"duplicates={duplicates!r}: expected one of {', '.join(map(repr, DUPLICATES))}")


def _values(frame: pd.DataFrame, columns: list[str], missing_values: tuple[float, ...], name: str) -> np.ndarray:
    values = np.empty((len(frame), len(columns)))
    for index, column in enumerate(columns):
        cells = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
        for value in missing_values:
            cells = np.where(means_missing(cells, value), np.nan, cells)
        if np.isinf(cells).any():
            row = int(np.flatnonzero(np.isinf(cells))[0])
            raise InputError(
                f"column {column!r} holds an infinite value in row {row} of {name!r}: replace it, or leave it empty "
                "as missing"
            )
        values[:, index] = cells
    return values


def _in_order(
    codes: np.ndarray, times: np.ndarray | None, values: np.ndarray, columns: TableColumns, duplicates: str, name: str
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Rows in order of group and time, one for each time."""
    if times is None:
        return codes, times, values
    order, change, apart = np.arange(len(codes)), np.diff(codes), np.diff(times.astype(np.int64))
    is_in_order = not ((change < 0) | ((change == 0) & (apart < 0))).any()
    if not is_in_order:
        order = np.lexsort((times, codes))
        codes, times, values = codes[order], times[order], values[order]
    is_again = np.zeros(len(codes), dtype=bool)
    is_again[1:] = (codes[1:] == codes[:-1]) & (times[1:] == times[:-1])
    if is_again.any() and duplicates == "error":
        raise _refusal(columns, int(order[is_again].min()), name)
    if not is_in_order and columns.id_column is None:
        logger.warning("%s: rows were not in order of time and have been sorted", name)
    if not is_again.any():
        return codes, times, values
    logger.warning("%s: %d rows at a time that has a row already: the %s is taken", name, is_again.sum(), duplicates)
    starts = np.flatnonzero(~is_again)
    if duplicates == "last":
        values = values[np.append(starts[1:], len(values)) - 1]
    else:
        known = np.add.reduceat((~np.isnan(values)).astype(np.int64), starts)
        total = np.add.reduceat(np.nan_to_num(values), starts)
        values = np.divide(total, known, out=np.full(total.shape, np.nan), where=known > 0)
    return codes[starts], times[starts], values


def _refusal(columns: TableColumns, row: int, name: str) -> InputError:
    frame, time = columns.frame, columns.timestamp_column
    at = frame[time].iloc[row]
    remedy = (
        "keep one of them (duplicates='last' or 'mean'), or give time_zone if the table's clock was set back there"
    )
    if columns.id_column is not None:
        identifier = shown(frame[columns.id_column].iloc[row])
        return InputError(f"{name!r} has several rows for id {identifier} at {at}: {remedy}")
    found = likely_id(frame, time, [column for column in frame.columns if column != time])
    if found is None:
        return InputError(f"{name!r} has several rows at {at}: {remedy}")
    return InputError(
        f"{name!r} has several rows at {at}, and column {found!r} tells them apart: if it holds the ids of series, "
        f"give id_column={found!r}; otherwise {remedy}"
    )


def _frequency(
    times: np.ndarray, first: np.ndarray, freq: str | None, in_common: bool, name: str | None
) -> str | None:
    """`freq` as it fits the timestamps of all series, or of the longest where each may lie on a grid of its own.

    Found where `None`; where there is none, a warning says so of the table `name`.
    """
    longest = int(np.diff(first).argmax())
    rows = slice(None) if in_common else slice(first[longest], first[longest + 1])
    index = pd.DatetimeIndex(np.unique(times[rows]))
    if freq is not None:
        return fit_frequency(index, freq) or offset_of(freq).freqstr
    freq = find_frequency(index)
    if freq is None and name is not None and len(index) > 1:
        logger.warning(
            "%s: timestamps lie on no regular grid%s; rows are taken as equal steps, so the forecast has no time "
            "column, unless freq names a grid that holds every row",
            name, _uneven(index),
        )  # fmt: skip
    return freq


def _uneven(index: pd.DatetimeIndex) -> str:
    """Where timestamps in order are further apart, or less, than most."""
    steps = pd.Series(np.diff(index))
    if len(steps) < 2:
        return ""
    usual = steps.mode().iloc[0]
    odd = int((steps != usual).argmax())
    return f" (most often {str(usual).removeprefix('0 days ')} apart, but {index[odd + 1]} follows {index[odd]})"


def _called(name: str, id_column: str | None, ids: pd.Series | None, code: int) -> str:
    return repr(name) if ids is None else f"{id_column} {ids.tolist()[code]!r} of {name!r}"


def _check_grid(grid: Grid, first: np.ndarray, in_common: bool, called: Callable[[int], str]) -> None:
    """Raise where a group's rows lie off the grid of its first one, or most rows are several steps apart.

    They are not where those of all groups together follow each other: groups may take turns.
    """
    number, phase = grid.number, grid.phase
    code = np.repeat(np.arange(len(first) - 1), np.diff(first))
    off = np.flatnonzero((phase != (phase[0] if in_common else phase[first[:-1]][code])) | (phase < 0))
    within = np.diff(number)[np.diff(code) == 0]
    usual = int(np.median(within)) if len(within) >= _FEW_ROWS else 1  # gaps make a few rows look regular
    are_apart = usual > 1 and min((within > 1).mean(), (within == usual).mean()) > 0.5
    if len(off):
        odd, many = code[off[0]], len(np.unique(code[off]))
    elif are_apart and (np.diff(np.unique(number)) > 1).mean() > 0.5:
        odd, many = int(np.diff(first).argmax()), len(first) - 1
    else:
        return
    found = find_frequency(pd.DatetimeIndex(grid.given[first[odd] : first[odd + 1]]))
    apart = f"{found!r} apart" if found else f"usually {usual} of them apart"
    if len(off) and found in (None, grid.freq):
        apart = f"on no grid of that frequency, such as {pd.Timestamp(grid.given[off[0]])}"
    of = "" if len(first) == 2 else f" ({many} of {len(first) - 1} series)"
    raise InputError(
        f"expected steps of {grid.freq!r}, the timestamps of {called(odd)} are {apart}{of}: resample the table to "
        f"{grid.freq!r}, or give its own freq"
    )
