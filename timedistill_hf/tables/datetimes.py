"""A column's timestamps: datetimes of any kind, dates, periods, or text."""

import datetime
import warnings

import numpy as np
import pandas as pd

from .._utils.errors import InputError
from .cells import plain_cells, shown_at
from .clock import check_zone


_ZONE = r":\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_OFFSET = r"\s*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_YEARS = (1678, 2261)  # what nanoseconds since 1970 in 64 bits hold
_MAX_LENGTH = 64  # characters of a date


def read_datetimes(column: pd.Series, source: str, time_zone: str | None = None) -> pd.Series:
    """Timestamps as datetimes, with a zone where the column says one: its own, or `time_zone` or UTC for text.

    Raises:
        InputError: a cell is missing or no date, some have a zone and some none, years that nanoseconds cannot hold,
            or text of days on a local calendar whose zone is not known.
    """
    column = _plain_times(column, source)
    if pd.api.types.is_datetime64_any_dtype(column):
        parsed = column
    elif pd.api.types.is_numeric_dtype(column):
        raise _no_dates(column, source, "numbers such as ")
    else:
        parsed = _read_text(column, source, time_zone)
    if parsed.isna().any():
        row = int(np.flatnonzero(parsed.isna().to_numpy())[0])
        if pd.isna(column.iloc[row]):
            raise InputError(
                f"row {row} of {source!r} has no timestamp in column {column.name!r}: fill it, or drop the row"
            )
        raise InputError(
            f"row {row} of {source!r} has the timestamp {shown_at(column, row)}: expected a date such as "
            "2024-01-31 15:00, written alike in all rows"
        )
    # by numpy: pandas cannot name the year of each timestamp that it can hold
    times = (parsed if parsed.dt.tz is None else parsed.dt.tz_convert("UTC").dt.tz_localize(None)).to_numpy()
    years = times.astype("datetime64[Y]").astype(np.int64) + 1970
    is_odd = (years < _YEARS[0]) | (years > _YEARS[1])
    if is_odd.any():
        row = int(np.flatnonzero(is_odd)[0])
        raise InputError(
            f"row {row} of {source!r} has the timestamp {shown_at(column, row)}: expected a year from "
            f"{_YEARS[0]} to {_YEARS[1]}"
        )
    return parsed


def _plain_times(column: pd.Series, source: str) -> pd.Series:
    """Datetimes or text, or an [`InputError`] for cells of another kind."""
    column = plain_cells(column, source)
    if isinstance(column.dtype, pd.PeriodDtype):
        try:
            return column.dt.to_timestamp()
        except ValueError as error:
            raise InputError(
                f"the periods of {source!r} cannot be read as timestamps: {error}; write dates"
            ) from error
    if pd.api.types.is_object_dtype(column):
        known = column.dropna()
        is_date = known.map(lambda cell: isinstance(cell, (str, datetime.date, np.datetime64)))
        if not is_date.all():
            raise _no_dates(known[~is_date.astype(bool)], source)
    elif pd.api.types.is_timedelta64_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise _no_dates(column, source)
    return column


def _no_dates(column: pd.Series, source: str, kind: str = "") -> InputError:
    return InputError(
        f"the time column {column.name!r} of {source!r} holds {kind}{shown_at(column, 0)}: write dates (2024-01-31 "
        "15:00), or give another timestamp_column"
    )


def _read_text(column: pd.Series, source: str, time_zone: str | None) -> pd.Series:
    """Each text is read once, however many rows have it."""
    codes, texts = pd.factorize(column, use_na_sentinel=False)
    texts = pd.Series(texts, name=column.name)
    texts = texts.where(texts.isna() | (texts.astype("string").str.len() <= _MAX_LENGTH), None)
    zoned = _check_zones(texts, codes, source)
    parsed = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    if parsed.isna().any():
        parsed = _read_local_format(texts, source)
    if not zoned:
        parsed = parsed.dt.tz_localize(None)
    elif time_zone is not None:
        check_zone(time_zone)
        parsed = parsed.dt.tz_convert(time_zone)
    else:
        _check_one_offset(texts, parsed, source)
    return parsed.take(codes).set_axis(column.index)


def _check_one_offset(texts: pd.Series, parsed: pd.Series, source: str) -> None:
    """Raise where text tells days of a local calendar by offsets that change: what follows the last one is unknown."""
    local = pd.to_datetime(texts.astype("string").str.replace(_OFFSET, "", regex=True), errors="coerce")
    offsets = (local - parsed.dt.tz_localize(None)).dropna()
    if offsets.nunique() > 1 and (local.dropna() - local.dropna().dt.normalize()).nunique() == 1:
        raise InputError(
            f"the timestamps of {source!r}, such as {texts.iloc[0]!r}, are days of a local calendar whose offset from "
            "UTC changes: say its zone (time_zone='Europe/Berlin'), or write dates without offset"
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
