"""Many series in one table, each with an end of its own: blocks of equal steps out of it, timestamps back.

Imported only where tables are read: it needs pandas.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from transformers.utils import is_pandas_available

from .clock_timedistill import Clock, TableError, offset_of
from .serving_timedistill import means_missing


if is_pandas_available():
    import pandas as pd


DAY = 86_400_000_000_000


class Grid:
    """The steps of a pandas frequency, numbered.

    Minutes, hours, days and weeks are equal lengths of time; a series may begin anywhere (its `phase`). Months,
    quarters, years and business days are dates of the calendar, which all series share but for the time of day.

    Args:
        times: `datetime64[ns]` `[n]`, the timestamps to number.
        freq: pandas frequency.
        ahead: how many steps after the last timestamp may be asked for.
    """

    def __init__(self, times: np.ndarray, freq: str, ahead: int):
        offset = offset_of(freq)
        self.multiple = offset.n
        self.dates = None
        if isinstance(offset, (pd.offsets.Tick, pd.offsets.Day, pd.offsets.Week)):
            length = 7 * DAY * offset.n if isinstance(offset, pd.offsets.Week) else pd.Timedelta(offset).value
            self.length = int(length)
            self.number, self.phase = np.divmod(times.astype(np.int64), self.length)
            return
        self.length = DAY
        days, time_of_day = np.divmod(times.astype(np.int64), DAY)
        first, last = (pd.Timestamp(int(day) * DAY) for day in (days.min(), days.max()))
        dates = pd.date_range(first, last, freq=offset.base)
        after = pd.date_range(last, periods=(ahead + 1) * offset.n + 2, freq=offset.base)
        self.dates = dates.union(after).as_unit("ns").asi8 // DAY
        position = np.searchsorted(self.dates, days)
        is_on = self.dates[position] == days
        self.number, rest = np.divmod(position, self.multiple)
        self.phase = np.where(is_on, time_of_day * self.multiple + rest, -1)

    def times(self, number: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """`datetime64[ns]` of steps by number, which may lie up to `ahead` after the last one."""
        if self.dates is None:
            return (number * self.length + phase).astype("datetime64[ns]")
        time_of_day, rest = np.divmod(phase, self.multiple)
        return (self.dates[number * self.multiple + rest] * DAY + time_of_day).astype("datetime64[ns]")


@dataclass(frozen=True)
class Panel:
    """Rows of many groups in order of group and time; each value column of a group is a series.

    Args:
        ids: the groups in the order of their first rows, as given; `None` for a table of one group (wide).
        values: float64 `[n, K]`, the value columns, NaN where missing.
        first: `[G + 1]`, the rows of group g are `first[g]` to `first[g + 1]`.
        number: `[n]`, each row's step.
        phase: `[G]`, where on the grid each group lies.
        grid, clock: how steps become timestamps; `None` where time is unknown.
    """

    ids: "pd.Series | None"
    values: np.ndarray
    first: np.ndarray
    number: np.ndarray
    phase: np.ndarray
    grid: Grid | None
    clock: Clock | None

    @property
    def num_groups(self) -> int:
        return len(self.first) - 1

    @cached_property
    def last(self) -> np.ndarray:
        """`[G]`: the step of each group's last row."""
        return self.number[self.first[1:] - 1]

    @cached_property
    def lengths(self) -> np.ndarray:
        """`[G]`: steps from each group's first row to its last."""
        return self.last - self.number[self.first[:-1]] + 1

    def block(self, groups: slice, length: int, last: np.ndarray | None = None) -> np.ndarray:
        """Float64 `[g, length, K]`: the last steps of these groups, NaN where there is no row.

        Args:
            last: `[g]`, the step that each ends with; that of its own last row where `None`.
        """
        starts, ends = self.first[:-1][groups], self.first[1:][groups]
        last = self.last[groups] if last is None else last
        rows = slice(int(starts[0]), int(ends[-1]))
        group = np.repeat(np.arange(len(starts)), ends - starts)
        position = self.number[rows] - last[group] + length - 1
        inside = (position >= 0) & (position < length)
        block = np.full((len(starts), length, self.values.shape[1]), np.nan)
        block[group[inside], position[inside]] = self.values[rows][inside]
        return block

    def times(self, number: np.ndarray, group: np.ndarray) -> np.ndarray:
        """`datetime64[ns]` `[n, s]`, on the clock, of the steps `number` `[n, s]` of the groups `group` `[n]`."""
        return self.grid.times(number, self.phase[group][:, None])

    def stamps(self, number: np.ndarray, group: np.ndarray, steps: np.ndarray) -> "pd.Series":
        """A column of `n * s` timestamps like that of the table: `steps` `[s]` after the step `number` `[n]`."""
        start = self.times(number[:, None], group)[:, 0]
        _, example, inverse = np.unique(start, return_index=True, return_inverse=True)
        times = self.times(number[example][:, None] + steps, group[example])
        rows = inverse[:, None] * len(steps) + np.arange(len(steps))
        return self.clock.write(times.ravel()).take(rows.ravel()).reset_index(drop=True)


def read_panel(
    frame: "pd.DataFrame",
    *,
    id_column: str | None,
    timestamp_column: str | None,
    target_columns: list[str],
    freq: str | None,
    time_zone: str | None = None,
    missing_values: tuple[float, ...] = (),
    ahead: int = 0,
) -> Panel:
    """Read a wide table (no id column) or a long one, in time that grows with its rows, not with its ids.

    Args:
        frame: a column of datetimes, where there is one, and value columns of numbers.
        freq: pandas frequency; where `None`, or without timestamps, rows count as equal steps and time is unknown.
        time_zone: see [`Clock.read`].
        missing_values: values that mean missing.
        ahead: how many steps after the last ones timestamps are needed for.

    Raises:
        TableError: an id or timestamp is missing, a series has two rows at one time, rows off the grid or further
            apart, or an infinite value.
    """
    codes, ids = _groups(frame, id_column)
    clock, grid, times = None, None, None
    if timestamp_column is not None:
        if frame[timestamp_column].isna().any():
            row = int(np.flatnonzero(frame[timestamp_column].isna().to_numpy())[0])
            raise TableError(f"row {row} has no timestamp in column {timestamp_column!r}: fill it, or drop the row")
        clock, times = Clock.read(frame[timestamp_column], codes, time_zone=time_zone, freq=freq)
    if times is not None and freq is not None:
        grid = Grid(times, freq, ahead)
        number, phase = grid.number, grid.phase
    else:
        number = np.zeros(len(frame), dtype=np.int64) if times is None else times.astype(np.int64)
        phase = np.zeros(len(frame), dtype=np.int64)
    order, within = None, _within(codes, number)
    if within is None:
        order = np.lexsort((number, codes))
        codes, number, phase = codes[order], number[order], phase[order]
        within = _within(codes, number)
    first = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    values = _values(frame, target_columns, missing_values, order)
    names = _Names(ids, id_column)
    if grid is not None:
        _check_grid(codes, number, phase, first, within, freq, names, lambda row: _shown(times, order, row, clock))
    if times is not None and (within == 0).any():
        twice = codes[np.flatnonzero((np.diff(codes) == 0) & (np.diff(number) == 0))[0]]
        raise TableError(
            f"{names(twice)} has several rows at one time: keep one of them; if a local clock was set back between "
            "them, give time_zone"
        )
    if grid is None:
        number = np.arange(len(codes)) - first[codes]
    return Panel(ids, values, first, number, phase[first[1:] - 1], grid, clock)


def _groups(frame: "pd.DataFrame", id_column: str | None) -> tuple[np.ndarray, "pd.Series | None"]:
    if id_column is None:
        return np.zeros(len(frame), dtype=np.int64), None
    codes, _ = pd.factorize(frame[id_column])
    if len(codes) and codes.min() < 0:
        raise TableError(f"row {int(codes.argmin())} has no id in column {id_column!r}: fill it, or drop the row")
    first = np.empty(codes.max() + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return codes.astype(np.int64), frame[id_column].iloc[first].reset_index(drop=True)


def _within(codes: np.ndarray, number: np.ndarray) -> np.ndarray | None:
    """Steps between neighbouring rows of the same group; `None` where rows are not in order of group and step."""
    change, apart = np.diff(codes), np.diff(number)
    if ((change < 0) | ((change == 0) & (apart < 0))).any():
        return None
    return apart[change == 0]


def _values(
    frame: "pd.DataFrame", columns: list[str], missing_values: tuple[float, ...], order: np.ndarray | None
) -> np.ndarray:
    values = np.empty((len(frame), len(columns)))
    for index, column in enumerate(columns):
        cells = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
        for value in missing_values:
            cells = np.where(means_missing(cells, value), np.nan, cells)
        if np.isinf(cells).any():
            row = int(np.flatnonzero(np.isinf(cells))[0])
            raise TableError(
                f"row {row} holds an infinite value in column {column!r}: replace it, or leave it empty as missing"
            )
        values[:, index] = cells if order is None else cells[order]
    return values


def _shown(times: np.ndarray, order: np.ndarray | None, row: int, clock: Clock) -> str:
    return str(clock.write(times[[row if order is None else order[row]]]).iloc[0])


class _Names:
    """What a group is called in a message."""

    def __init__(self, ids: "pd.Series | None", id_column: str | None):
        self.ids = ids
        self.id_column = id_column

    def __call__(self, code: int) -> str:
        return "the table" if self.ids is None else f"{self.id_column} {self.ids.tolist()[code]!r}"


def _check_grid(
    codes: np.ndarray,
    number: np.ndarray,
    phase: np.ndarray,
    first: np.ndarray,
    within: np.ndarray,
    freq: str,
    names: _Names,
    time_of: Callable[[int], str],
) -> None:
    """Raise where a group's rows lie off the grid of its last one, or most rows are several steps apart.

    They are not where those of all groups together follow each other: groups may take turns.
    """
    off = np.flatnonzero((phase != phase[first[1:] - 1][codes]) | (phase < 0))
    if len(off):
        raise TableError(
            f"{names(codes[off[0]])} has rows on no grid of {freq!r} steps, such as that at {time_of(off[0])} "
            f"({len(np.unique(codes[off]))} of {len(first) - 1} series): resample the table to {freq!r}, or give its "
            "own freq"
        )
    if len(within) > 1 and (within > 1).mean() > 0.5 and (np.diff(np.unique(number)) > 1).mean() > 0.5:
        usual = int(np.median(within))
        if (within == usual).mean() > 0.5:
            raise TableError(
                f"rows are {usual} steps of {freq!r} apart: resample the table to {freq!r}, or give its own freq"
            )
