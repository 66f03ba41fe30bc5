"""From a table to a [`Series`]: which column is time, which are values, wide or long, regular or not."""

import logging
import re
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from ..errors import InputError
from ..student.clock_timedistill import Clock, TableError, check_zone
from .columns import check_roles, read_numbers, shown, with_plain_names
from .grid import fill_grid, find_frequency, season_of
from .series import Series


logger = logging.getLogger(__name__)

TIMESTAMP_NAMES = ("date", "timestamp", "datetime", "time", "ds")
_SAVED_INDEX = re.compile(r"Unnamed: 0|__index_level_\d+__")
_ZONE = r":\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_OFFSET = r"\s*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_YEARS = (1678, 2261)  # what nanoseconds since 1970 in 64 bits hold


def frame_to_series(
    frame: pd.DataFrame,
    *,
    name: str,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    season: int | None = None,
    regularize: bool = True,
    freq: str | None = None,
    time_zone: str | None = None,
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
        freq: how far apart steps are, where left-out ones are to be put back on a known grid; found where `None`.
        time_zone: whose clock timestamps without a zone show, or whose calendar those with one follow.

    Raises:
        InputError: empty, no value column, a cell that is no number or beyond float32, duplicated or unreadable
            timestamps, some with a time zone and some without, columns that are unknown, have one name or two roles,
            timestamps that are not `freq` apart.
    """
    frame, timestamp_column, columns = read_columns(
        frame,
        name=name,
        timestamp_column=timestamp_column,
        id_column=id_column,
        target_columns=target_columns,
        time_zone=time_zone,
    )
    clock = None
    if timestamp_column is not None:
        clock, times = _read_clock(frame, timestamp_column, id_column, name, time_zone, freq)
        frame = frame.assign(**{timestamp_column: times})
    targets = None
    if id_column is not None:
        targets = tuple(columns)
        frame = _long_to_wide(frame, id_column, timestamp_column, columns, name)
        columns = [column for column in frame.columns if column != timestamp_column]
    timestamps, found = None, None
    if timestamp_column is not None:
        if regularize:
            frame = _sort(frame, timestamp_column, name)
            frame, found = fill_grid(frame, timestamp_column, name, freq)
        else:
            found = find_frequency(pd.DatetimeIndex(frame[timestamp_column]))
        timestamps = frame[timestamp_column].to_numpy().astype("datetime64[ns]")
    values = frame[columns].to_numpy(dtype=np.float32, na_value=np.nan)
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


def read_columns(
    frame: pd.DataFrame,
    *,
    name: str,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    time_zone: str | None = None,
) -> tuple[pd.DataFrame, str | None, list[str]]:
    """The same rows with timestamps and numbers for what is written as text, by the rules of [`frame_to_series`].

    Timestamps keep the zone that their column says.

    Returns:
        The frame, its time column where it has one, and its value columns.
    """
    if len(frame) == 0:
        raise InputError(f"{name!r} has no rows: expected one a time step")
    frame = plain_table(frame, name)
    timestamp_column = timestamp_column or find_timestamp_column(frame)
    check_roles(frame, timestamp_column, id_column, target_columns, name)
    frame = _without_saved_index(frame, [timestamp_column, id_column, *(target_columns or [])], name)
    if timestamp_column is not None:
        stamps = read_datetimes(frame[timestamp_column], name, time_zone)
        frame = frame.assign(**{timestamp_column: stamps})
    if id_column is not None and timestamp_column is None:
        raise InputError(f"{name!r} is long (id column {id_column!r}) and needs a time column: --timestamp_column")
    columns = target_columns or [column for column in frame.columns if column not in (id_column, timestamp_column)]
    return read_numbers(frame, columns, name), timestamp_column, columns


def is_saved_index(column: str) -> bool:
    """Whether a column is called as pandas calls the row numbers that it saves beside a table."""
    return _SAVED_INDEX.fullmatch(column) is not None


def plain_table(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """The frame with text as names, each given once; an index of timestamps is a column, unless one holds time.

    Periods are their start.
    """
    frame = with_plain_names(frame, source)
    if isinstance(frame.index, pd.PeriodIndex):
        frame = frame.set_axis(frame.index.to_timestamp())
    if not isinstance(frame.index, pd.DatetimeIndex) or find_timestamp_column(frame) is not None:
        return frame
    return frame.rename_axis(str(frame.index.name or TIMESTAMP_NAMES[0])).reset_index()


def _without_saved_index(frame: pd.DataFrame, wanted: list[str | None], source: str) -> pd.DataFrame:
    """Leave out the row numbers that pandas writes beside a table when it is saved with its index."""
    saved = [
        column
        for column in frame.columns
        if _SAVED_INDEX.fullmatch(column) and column not in wanted and pd.api.types.is_integer_dtype(frame[column])
    ]
    if saved:
        logger.warning("%s: %s is a saved index and is left out", source, ", ".join(map(repr, saved)))
    return frame.drop(columns=saved)


def find_timestamp_column(frame: pd.DataFrame) -> str | None:
    for column in frame.columns:
        if pd.api.types.is_datetime64_any_dtype(frame[column]):
            return column
    by_name = [column for column in frame.columns if column.lower() in TIMESTAMP_NAMES]
    by_name += [column for column in frame.columns if _SAVED_INDEX.fullmatch(column) and _is_text(frame[column])]
    return by_name[0] if by_name else None


def _is_text(column: pd.Series) -> bool:
    return pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)


def _read_clock(
    frame: pd.DataFrame,
    timestamp_column: str,
    id_column: str | None,
    source: str,
    time_zone: str | None,
    freq: str | None,
) -> tuple[Clock, np.ndarray]:
    stamps = read_datetimes(frame[timestamp_column], source, time_zone)
    codes = None if id_column is None else pd.factorize(frame[id_column])[0]
    try:
        return Clock.read(stamps, codes, time_zone=time_zone, freq=freq)
    except TableError as error:
        raise InputError(f"{source!r}: {error}") from error


def read_datetimes(column: pd.Series, source: str, time_zone: str | None = None) -> pd.Series:
    """Timestamps as datetimes, with a zone where the column says one: its own, or `time_zone` or UTC for text.

    Raises:
        InputError: a cell is missing or no date, some have a zone and some none, years that nanoseconds cannot hold,
            or text of days on a local calendar whose zone is not known.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        parsed = column
    elif pd.api.types.is_numeric_dtype(column):
        raise InputError(
            f"the time column {column.name!r} of {source!r} holds numbers such as {shown(column.iloc[0])}: write "
            "dates (2024-01-31 15:00), or name another column with --timestamp_column"
        )
    else:
        parsed = _read_text(column, source, time_zone)
    if parsed.isna().any():
        row = int(np.flatnonzero(parsed.isna().to_numpy())[0])
        if pd.isna(column.iloc[row]):
            raise InputError(
                f"row {row} of {source!r} has no timestamp in column {column.name!r}: fill it, or drop the row"
            )
        raise InputError(
            f"row {row} of {source!r} has the timestamp {column.iloc[row]!r}: expected a date such as "
            "2024-01-31 15:00, written alike in all rows"
        )
    if not (_YEARS[0] <= parsed.min().year and parsed.max().year <= _YEARS[1]):
        row = int(np.flatnonzero(~parsed.dt.year.between(*_YEARS).to_numpy())[0])
        raise InputError(
            f"row {row} of {source!r} has the timestamp {column.iloc[row]!r}: expected a year from "
            f"{_YEARS[0]} to {_YEARS[1]}"
        )
    return parsed


def _read_text(column: pd.Series, source: str, time_zone: str | None) -> pd.Series:
    """Each text is read once, however many rows have it."""
    codes, texts = pd.factorize(column, use_na_sentinel=False)
    texts = pd.Series(texts, name=column.name)
    zoned = _check_zones(texts, codes, source)
    parsed = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    if parsed.isna().any():
        parsed = _read_local_format(texts, source)
    if not zoned:
        parsed = parsed.dt.tz_localize(None)
    elif time_zone is not None:
        parsed = _to_zone(parsed, time_zone, source)
    else:
        _check_one_offset(texts, parsed, source)
    return parsed.take(codes).set_axis(column.index)


def _to_zone(stamps: pd.Series, time_zone: str, source: str) -> pd.Series:
    try:
        check_zone(time_zone)
    except TableError as error:
        raise InputError(f"{source!r}: {error}") from error
    return stamps.dt.tz_convert(time_zone)


def _check_one_offset(texts: pd.Series, parsed: pd.Series, source: str) -> None:
    """Raise where text tells days of a local calendar by offsets that change: what follows the last one is unknown."""
    local = pd.to_datetime(texts.astype("string").str.replace(_OFFSET, "", regex=True), errors="coerce")
    offsets = (local - parsed.dt.tz_localize(None)).dropna()
    if offsets.nunique() > 1 and (local.dropna() - local.dropna().dt.normalize()).nunique() == 1:
        raise InputError(
            f"the timestamps of {source!r}, such as {texts.iloc[0]!r}, are days of a local calendar whose offset from "
            "UTC changes: say its zone (time_zone='Europe/Berlin', --time_zone), or write dates without offset"
        )


def _check_zones(texts: pd.Series, codes: np.ndarray, source: str) -> bool:
    """Whether the texts say their zone; raise where only some do: what the others mean is not known."""
    zoned = texts.astype("string").str.contains(_ZONE, regex=True, na=False).to_numpy()
    known = np.flatnonzero(texts.notna().to_numpy())
    odd = known[zoned[known] != zoned[known[:1]]]
    if len(odd):
        rows = [int(np.flatnonzero(codes == code)[0]) for code in (known[0], odd[0])]
        raise InputError(
            f"of the timestamps of {source!r} some have a time zone and some have none, such as "
            f"{texts.iloc[known[0]]!r} in row {rows[0]} and {texts.iloc[odd[0]]!r} in row {rows[1]}: write all "
            "with a zone, or all without"
        )
    return bool(zoned.any())


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
    frame: pd.DataFrame, id_column: str, timestamp_column: str, targets: list[str], source: str
) -> pd.DataFrame:
    if frame[id_column].isna().any():
        row = int(np.flatnonzero(frame[id_column].isna().to_numpy())[0])
        raise InputError(f"row {row} of {source!r} has no id in column {id_column!r}: fill it, or drop the row")
    duplicated = frame.duplicated([id_column, timestamp_column])
    if duplicated.any():
        row = frame[duplicated].iloc[0]
        raise InputError(
            f"{source!r} has several rows for id {shown(row[id_column])} at {row[timestamp_column]}: keep one of "
            "them, or say --time_zone if the table's clock was set back there"
        )
    order = frame[id_column].drop_duplicates().tolist()
    wide = frame.pivot(index=timestamp_column, columns=id_column, values=targets)
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


def _sort(frame: pd.DataFrame, timestamp_column: str, source: str) -> pd.DataFrame:
    duplicated = frame[timestamp_column].duplicated()
    if duplicated.any():
        raise InputError(
            f"{source!r} has several rows at {frame[timestamp_column][duplicated].iloc[0]}: keep one of them, or say "
            "--id_column if the table holds several series, or --time_zone if its clock was set back there"
        )
    if not frame[timestamp_column].is_monotonic_increasing:
        logger.warning("%s: rows were not in order of time and have been sorted", source)
        frame = frame.sort_values(timestamp_column, kind="stable")
    return frame.reset_index(drop=True)
