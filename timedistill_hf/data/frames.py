"""From a table to a [`Series`]: which column is time, which are values, wide or long, regular or not."""

import logging
import re
import warnings

import numpy as np
import pandas as pd
import torch

from ..errors import InputError
from .series import Series


logger = logging.getLogger(__name__)

TIMESTAMP_NAMES = ("date", "timestamp", "datetime", "time", "ds")
ID_NAMES = ("id", "item_id", "unique_id", "series_id")

_SEASONS = {
    pd.Timedelta(minutes=1): 1440,
    pd.Timedelta(minutes=5): 288,
    pd.Timedelta(minutes=10): 144,
    pd.Timedelta(minutes=15): 96,
    pd.Timedelta(minutes=30): 48,
    pd.Timedelta(hours=1): 24,
    pd.Timedelta(days=1): 7,
    pd.Timedelta(days=7): 52,
}
_CALENDAR_SEASONS = {"M": 12, "Q": 4}


def frame_to_series(
    frame: pd.DataFrame,
    *,
    name: str,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    season: int | None = None,
    regularize: bool = True,
) -> Series:
    """Read a wide table (one column a channel) or, with an id column, a long one (id, timestamp, value).

    Rules: the time column is the one named, else the first of datetime type, or called date, timestamp, datetime, time
    or ds. Rows are sorted by time. A long table becomes one channel per id and value column, missing where
    an id has no row. Steps left out of an otherwise regular series are put back as missing.

    Args:
        season: steps of one season; read from the frequency where `None`.
        regularize: `False` keeps rows and order as they are, as the benchmarks need.

    Raises:
        InputError: empty, no numeric column, duplicated or unreadable timestamps, unknown column names.
    """
    if len(frame) == 0:
        raise InputError(f"{name!r} has no rows")
    _check_known(frame, [timestamp_column, id_column, *(target_columns or [])], name)
    frame = _without_saved_index(frame, target_columns or [], name)
    timestamp_column = timestamp_column or _find_timestamp_column(frame)
    if timestamp_column is not None:
        frame = frame.assign(**{timestamp_column: _read_timestamps(frame[timestamp_column], name)})
    if id_column is not None:
        frame = _long_to_wide(frame, id_column, timestamp_column, target_columns, name)
        target_columns = None

    columns = target_columns or [column for column in frame.columns if column != timestamp_column]
    _check_numeric(frame, columns, name)
    timestamps, freq = None, None
    if timestamp_column is not None:
        if regularize:
            frame = _sort(frame, timestamp_column, name)
            frame, freq = _fill_grid(frame, timestamp_column, name)
        else:
            freq = _frequency(pd.DatetimeIndex(frame[timestamp_column]))
        timestamps = frame[timestamp_column].to_numpy().astype("datetime64[ns]")
    values = frame[columns].to_numpy(dtype=np.float32, na_value=np.nan)
    return Series(
        values=torch.from_numpy(np.array(values)),
        columns=tuple(str(column) for column in columns),
        timestamps=timestamps,
        timestamp_column=timestamp_column,
        freq=freq,
        season=season or _season(freq),
        name=name,
        id_column=id_column,
        regularized=regularize,
    )


def _without_saved_index(frame: pd.DataFrame, wanted: list[str], source: str) -> pd.DataFrame:
    """Leave out the row numbers that pandas writes beside a table when it is saved with its index."""
    saved = [c for c in frame.columns if re.fullmatch(r"Unnamed: 0|__index_level_\d+__", str(c)) and c not in wanted]
    if saved:
        logger.warning("%s: %s is a saved index and is left out", source, ", ".join(map(repr, saved)))
    return frame.drop(columns=saved)


def _check_known(frame: pd.DataFrame, names: list[str | None], source: str) -> None:
    for column in names:
        if column is not None and column not in frame.columns:
            raise InputError(f"{source!r} has no column {column!r}: it has {list(frame.columns)}")


def _find_timestamp_column(frame: pd.DataFrame) -> str | None:
    for column in frame.columns:
        if pd.api.types.is_datetime64_any_dtype(frame[column]):
            return column
    by_name = [column for column in frame.columns if str(column).lower() in TIMESTAMP_NAMES]
    return by_name[0] if by_name else None


def _read_timestamps(column: pd.Series, source: str) -> pd.Series:
    """Naive timestamps, in UTC where the column says its zone."""
    if pd.api.types.is_datetime64_any_dtype(column):
        parsed = column if column.dt.tz is not None else column.dt.tz_localize("UTC")
        parsed = parsed.dt.tz_convert("UTC")
    elif pd.api.types.is_numeric_dtype(column):
        raise InputError(
            f"the time column {column.name!r} of {source!r} holds numbers such as {column.iloc[0]!r}: write dates "
            "(2024-01-31 15:00), or name another column with --timestamp_column"
        )
    else:
        parsed = pd.to_datetime(column, format="ISO8601", errors="coerce", utc=True)
        if parsed.isna().any():
            parsed = _read_local_format(column, source)
    if parsed.isna().any():
        row = int(np.flatnonzero(parsed.isna().to_numpy())[0])
        raise InputError(
            f"row {row} of {source!r} has the timestamp {column.iloc[row]!r}: expected a date such as "
            "2024-01-31 15:00, written alike in all rows"
        )
    return parsed.dt.tz_localize(None)


def _read_local_format(column: pd.Series, source: str) -> pd.Series:
    """One format for the whole column, month or day first, whichever reads all rows; refused where both do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        month_first = pd.to_datetime(column, errors="coerce", utc=True)
        day_first = pd.to_datetime(column, errors="coerce", utc=True, dayfirst=True)
    starts_with_year = str(column.iloc[0])[:4].isdigit()
    if starts_with_year or day_first.isna().any():
        return month_first
    if month_first.isna().any() or month_first.equals(day_first):
        return day_first
    raise InputError(
        f"the timestamps of {source!r}, such as {column.iloc[0]!r}, may begin with the day or with the month: "
        "write them as 2024-01-31"
    )


def _long_to_wide(
    frame: pd.DataFrame, id_column: str, timestamp_column: str | None, targets: list[str] | None, source: str
) -> pd.DataFrame:
    if timestamp_column is None:
        raise InputError(f"{source!r} is long (id column {id_column!r}) and needs a time column: --timestamp_column")
    targets = targets or [column for column in frame.columns if column not in (id_column, timestamp_column)]
    _check_numeric(frame, targets, source)
    if frame[id_column].isna().any():
        row = int(np.flatnonzero(frame[id_column].isna().to_numpy())[0])
        raise InputError(f"row {row} of {source!r} has no id in column {id_column!r}: fill it, or drop the row")
    duplicated = frame.duplicated([id_column, timestamp_column])
    if duplicated.any():
        row = frame[duplicated].iloc[0]
        raise InputError(
            f"{source!r} has several rows for id {row[id_column]!r} at {row[timestamp_column]}: keep one of them"
        )
    order = list(dict.fromkeys(frame[id_column]))
    wide = frame.pivot(index=timestamp_column, columns=id_column, values=targets)
    wide = wide[[(target, identifier) for identifier in order for target in targets]]
    wide.columns = [str(i) if len(targets) == 1 else f"{i}/{target}" for i in order for target in targets]
    return wide.reset_index()


def _check_numeric(frame: pd.DataFrame, columns: list[str], source: str) -> None:
    if not columns:
        raise InputError(f"{source!r} has no value column beside its time column")
    for column in columns:
        if pd.api.types.is_numeric_dtype(frame[column]) and not pd.api.types.is_bool_dtype(frame[column]):
            continue
        hint = "name the value columns with --target_columns"
        if str(column).lower() in ID_NAMES:
            hint = f"if the table is long, say --id_column {column}"
        raise InputError(f"column {column!r} of {source!r} holds {frame[column].iloc[0]!r}, no number: {hint}")


def _sort(frame: pd.DataFrame, timestamp_column: str, source: str) -> pd.DataFrame:
    if not frame[timestamp_column].is_monotonic_increasing:
        logger.warning("%s: rows were not in order of time and have been sorted", source)
        frame = frame.sort_values(timestamp_column, kind="stable")
    duplicated = frame[timestamp_column].duplicated()
    if duplicated.any():
        raise InputError(
            f"{source!r} has several rows at {frame[timestamp_column][duplicated].iloc[0]}: keep one of them, or say "
            "--id_column if the table holds several series"
        )
    return frame.reset_index(drop=True)


def _fill_grid(frame: pd.DataFrame, timestamp_column: str, source: str) -> tuple[pd.DataFrame, str | None]:
    """Put back left-out steps as missing rows where all timestamps lie on one grid."""
    index = pd.DatetimeIndex(frame[timestamp_column])
    freq = _frequency(index)
    if freq is None:
        if len(index) > 2:
            logger.warning("%s: timestamps lie on no regular grid; rows are taken as equal steps", source)
        return frame, None
    grid = pd.date_range(index[0], index[-1], freq=freq)
    if len(grid) == len(index):
        return frame, freq
    logger.warning("%s: %d of %d steps have no row and count as missing", source, len(grid) - len(index), len(grid))
    filled = frame.set_index(timestamp_column).reindex(grid)
    filled.index.name = timestamp_column
    return filled.reset_index(), freq


def _frequency(index: pd.DatetimeIndex) -> str | None:
    """The pandas alias of the grid that all timestamps lie on: the usual step, or a calendar frequency."""
    if len(index) < 3:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas 4 will give the offset instead of its alias; both are read below
        inferred = pd.infer_freq(index)
    if inferred is not None:
        return pd.tseries.frequencies.to_offset(inferred).freqstr
    steps = pd.Series(index[1:] - index[:-1])
    step = steps.mode().iloc[0]
    if step <= pd.Timedelta(0) or (steps == step).mean() < 0.5:
        return None
    if ((index - index[0]) % step != pd.Timedelta(0)).any():
        return None
    return pd.tseries.frequencies.to_offset(step).freqstr


def _season(freq: str | None) -> int:
    if freq is None:
        return 1
    offset = pd.tseries.frequencies.to_offset(freq)
    try:
        return _SEASONS.get(pd.Timedelta(offset), 1)
    except ValueError:
        return _CALENDAR_SEASONS.get(freq[0], 52 if freq.startswith("W") else 1)
