"""A table at both ends of a forecast: the window out of it, and the forecast back into a table like it."""

import datetime
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from .._utils.errors import InputError, listed
from ..tables.columns import is_saved_index
from ..tables.grid import check_frequency
from ..tables.table import plain_table
from .calendar import calendar_features
from .codes import warn_of_codes
from .frames import channel_names, frame_to_series
from .processor import TimeDistillProcessor
from .series import Series


if TYPE_CHECKING:
    from ..tables.table import Table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableWindow:
    """What a model is shown of a table, and how its forecast becomes such a table again.

    Args:
        frame: the table as given, time in a column.
        series: its last `context_length` steps, channels in the order of the model, NaN where missing.
        future: the timestamps of the `prediction_length` steps that follow, `None` where time is unknown.
    """

    frame: pd.DataFrame
    series: Series
    future: pd.DatetimeIndex | None

    def to_frame(self, forecast: np.ndarray) -> pd.DataFrame:
        """`[S, C]` in the order of the model as a table with the names, order and types of the one given.

        Wide: the time column, then the value columns. Long: S rows an id, ids in the order of their first row.
        """
        position = {channel: index for index, channel in enumerate(self.series.columns)}
        if self.series.id_column is None:
            columns = [column for column in self.frame.columns if column in position]
            table = pd.DataFrame(forecast[:, [position[column] for column in columns]], columns=columns)
            if self.future is not None:
                table.insert(0, self.series.timestamp_column, self._timestamps())
            return table
        ids = self.frame[self.series.id_column].drop_duplicates()
        columns = {self.series.id_column: ids.repeat(len(forecast)).reset_index(drop=True)}
        if self.future is not None:
            columns[self.series.timestamp_column] = self._timestamps(len(ids))
        targets = self.series.target_columns
        channels = np.array([[position[name] for name in channel_names(i, targets)] for i in ids])
        for target, chosen in zip(targets, channels.T, strict=True):
            columns[target] = forecast[:, chosen].T.ravel()
        return pd.DataFrame({column: columns[column] for column in self.frame.columns if column in columns})

    def calendar_features(self) -> dict[str, torch.Tensor]:
        """`past_time_features` `[1, L, F]` and `future_time_features` `[1, S, F]`."""
        if self.future is None:
            raise InputError("the model needs calendar features: give a history with a time column in equal steps")
        times = {"past_time_features": self.series.timestamps, "future_time_features": self.future}
        return {name: calendar_features(timestamps).unsqueeze(0) for name, timestamps in times.items()}

    def _timestamps(self, repeats: int = 1) -> pd.Series:
        """The future timestamps, of the type that the table has: datetimes of its zone and unit, or dates.

        Text that says its zone is answered in UTC, or in the time zone of training, which is said too.
        """
        given = self.frame[self.series.timestamp_column]
        future = self.series.clock.write(self.future.to_numpy())
        if type(given.iloc[0]) is datetime.date:
            future = future.dt.date
        return future.take(np.tile(np.arange(len(future)), repeats)).reset_index(drop=True)


def read_table(frame: "Table", processor: TimeDistillProcessor, duplicates: str = "error") -> Series:
    """A table by the rules of training (order, left-out steps, ids, sentinel), columns in the order of the model.

    Columns that the model does not know are left out, with a warning.

    Raises:
        InputError: a column or id of the model is missing, an id is unknown to it, the steps are not as far apart as
            in training, or the table cannot be read.
    """
    frame = _with_columns(frame, processor)
    is_wide = processor.id_column is None
    if is_wide:
        _check_channels(frame.columns, processor)
    series = frame_to_series(
        frame,
        name="history",
        timestamp_column=processor.timestamp_column if processor.timestamp_column in frame.columns else None,
        id_column=processor.id_column,
        target_columns=processor.columns if is_wide else processor.target_columns,
        season=processor.season,
        regularize=processor.regularized,
        freq=processor.freq if processor.regularized else None,
        time_zone=processor.time_zone,
        duplicates=duplicates,
    )
    _check_channels(series.columns, processor)
    used = {series.id_column, series.timestamp_column, *(series.target_columns or series.columns)}
    extra = [column for column in frame.columns if column not in used and not is_saved_index(column)]
    if extra:
        logger.warning("history: the model does not know the columns %s; they are left out", listed(extra))
    position = {column: index for index, column in enumerate(series.columns)}
    values = series.values[:, [position[column] for column in processor.columns]]
    series = replace(series, values=values, columns=tuple(processor.columns))
    series = series.with_missing(processor.sentinels) if processor.sentinels else series
    warn_of_codes(series, "leave their cells empty")
    return series


def _with_columns(table: "Table", processor: TimeDistillProcessor) -> pd.DataFrame:
    frame, id_column = plain_table(table, "history", processor.id_column)
    if id_column != processor.id_column:
        raise InputError(
            f"the history has ids ({id_column!r}) in its index, the model was trained on a column a series: give "
            "a wide table, or use predict_df"
        )
    return frame


def _check_channels(columns: Iterable[str], processor: TimeDistillProcessor) -> None:
    offered, known = set(columns), set(processor.columns)
    targets = processor.target_columns or []
    missing = _ids([column for column in processor.columns if column not in offered], targets)
    unknown = _ids([column for column in columns if column not in known], targets) if processor.id_column else []
    trained = f"the model was trained on {listed(_ids(processor.columns, targets))}"
    if missing:
        has = f" and has {listed(unknown)}" if unknown else ""
        raise InputError(f"the history lacks {listed(missing)}{has}; {trained}: give all of them")
    if unknown:
        raise InputError(
            f"the history has {processor.id_column} {listed(unknown)}, unknown to the model; {trained}: leave these "
            "rows out, or train a model with them"
        )


def _ids(channels: Iterable[str], targets: Sequence[str]) -> list[str]:
    """The channels, or the ids that they belong to where each has several value columns."""
    ends = [f"/{target}" for target in targets] if len(targets) > 1 else []
    return list(
        dict.fromkeys(next((name.removesuffix(end) for end in ends if name.endswith(end)), name) for name in channels)
    )


def read_window(frame: "Table", processor: TimeDistillProcessor, duplicates: str = "error") -> TableWindow:
    """The last window of a table, by the rules of forecasting.

    The table is read as in training ([`read_table`]). Of a history shorter than the look-back the steps
    before it count as missing, and so does what an id lacks at the end of a long table; a warning tells of both.
    Several rows of one series at one time are an error, or what `duplicates` says ([`without_duplicates`]).

    Raises:
        InputError: the table cannot be read, its columns, ids or frequency are not those of the model, or a channel
            has fewer known values in the window than one season has steps (or than half the look-back).
    """
    frame = _with_columns(frame, processor)
    series = read_table(frame, processor, duplicates)
    timed = series.timestamps is not None
    freq = series.freq if processor.regularized else processor.freq or series.freq
    if timed and not processor.regularized:
        _check_rows_as_given(series, processor, freq)
    window = _last_steps(series, processor.context_length, freq)
    missing = max(0, window.num_rows - series.num_rows)
    _check_known(window, series, processor.season)
    if missing:
        logger.warning(
            "history: it has %d steps, the model looks back %d; the %d steps before it count as missing",
            series.num_rows, window.num_rows, missing,
        )  # fmt: skip
    _warn_of_ends(window, frame)
    future = processor.future_timestamps(pd.Timestamp(series.timestamps[-1]), freq) if timed and freq else None
    return TableWindow(frame, window, future)


def _check_rows_as_given(series: Series, processor: TimeDistillProcessor, freq: str | None) -> None:
    """Rows of a benchmark are neither sorted nor put on a grid; what is clearly not like in training is refused."""
    index = pd.DatetimeIndex(series.timestamps[-processor.context_length :])
    if not index.is_monotonic_increasing:
        raise InputError("the rows of the history are not in order of time: sort them")
    if freq is None:
        logger.warning("history: no frequency is known, so the forecast has no time column: its rows are equal steps")
    elif series.freq is not None:
        check_frequency(index.unique(), freq, "history")


def _last_steps(series: Series, steps: int, freq: str | None) -> Series:
    """The last `steps` steps; before the first row they are missing."""
    values, timestamps = series.values[-steps:], series.timestamps
    missing = steps - len(values)
    values = torch.cat([values.new_full((missing, series.num_channels), torch.nan), values])
    if timestamps is None or freq is None:
        return replace(series, values=values, timestamps=None)
    timestamps = timestamps[-steps:]
    before = pd.date_range(end=timestamps[0], periods=missing + 1, freq=freq)
    before = before[before < timestamps[0]]
    before = before[len(before) - missing :].to_numpy()
    return replace(series, values=values, timestamps=np.concatenate([before, timestamps]))


def _check_known(window: Series, series: Series, season: int) -> None:
    """Raise where a channel has too few values in the window, and not even half as many as elsewhere in the table.

    Steps within the table that no channel has, such as nights, are not counted.
    """
    is_known, is_ever_known = ~torch.isnan(window.values), ~torch.isnan(series.values)
    steps = max(0, window.num_rows - series.num_rows) + int(is_known.any(dim=1).sum())
    usual = is_ever_known.sum(dim=0) / is_ever_known.any(dim=1).sum() * steps
    if steps < window.num_rows // 2:
        logger.warning("history: of its last %d steps only %d hold a value", window.num_rows, steps)
    needed = max(1, min(season, steps // 2))
    known = is_known.sum(dim=0)
    is_short = (known < needed) & ~(known > usual / 2)
    short = {column: int(count) for column, count, few in zip(window.columns, known, is_short, strict=True) if few}
    if short:
        counts = ", ".join(f"{column!r} has {count}" for column, count in list(short.items())[:8])
        more = f" and {len(short) - 8} more have too few" if len(short) > 8 else ""
        raise InputError(
            f"of the last {window.num_rows} steps of the history {needed} known values a channel are needed, {counts}"
            f"{more}: give more history"
        )


def _warn_of_ends(window: Series, frame: pd.DataFrame) -> None:
    """Say where the table goes on without values, for all channels or for some ids of a long table."""
    known = ~torch.isnan(window.values)
    last = int(known.any(dim=1).nonzero()[-1])
    if last + 1 < window.num_rows:
        logger.warning(
            "history: its last %d steps hold no value; the forecast begins after them", window.num_rows - 1 - last
        )
    if window.id_column is None:
        return
    at_end = {channel for channel, is_known in zip(window.columns, known[last].tolist(), strict=True) if is_known}
    ids = frame[window.id_column].drop_duplicates().tolist()
    ended = [i for i in ids if at_end.isdisjoint(channel_names(i, window.target_columns))]
    if ended:
        logger.warning(
            "history: %d of %d ids have no value at the end, what they lack counts as missing: %s",
            len(ended), len(ids), listed(ended),
        )  # fmt: skip
