"""Several rows of one series at one time: refused, or one row of them."""

import logging

import numpy as np
import pandas as pd

from .._utils.errors import InputError
from ..student.clock_timedistill import Clock, TableError
from .cells import shown
from .columns import likely_id


logger = logging.getLogger(__name__)

DUPLICATES = ("error", "last", "mean")


def check_duplicates(duplicates: str) -> None:
    """Raise where it is none of the rules."""
    if duplicates not in DUPLICATES:
        raise InputError(f"duplicates={duplicates!r}: expected one of {', '.join(map(repr, DUPLICATES))}")


def without_duplicates(
    frame: pd.DataFrame,
    id_column: str | None,
    timestamp_column: str,
    columns: list[str],
    duplicates: str,
    source: str,
    time_zone: str | None = None,
) -> pd.DataFrame:
    """The frame with one row for each series and time, in the order of their first rows.

    Args:
        columns: the value columns.
        duplicates: `"error"` raises; `"last"` keeps the last of the rows as they come, `"mean"` takes the mean of the
            values that are known.
        time_zone: whose clock timestamps without a zone show: an hour that it shows twice is two.

    Raises:
        InputError: a time comes twice and `duplicates` is `"error"`; the message names the column that looks like ids.
    """
    check_duplicates(duplicates)
    ids = None if id_column is None else pd.factorize(frame[id_column])[0]
    times = frame[timestamp_column]
    if time_zone is not None and times.dt.tz is None:
        times = _on_clock(times, ids, time_zone, source)
    keys = pd.DataFrame({"id": 0 if ids is None else ids, "time": times.to_numpy()})
    repeated = keys.duplicated().to_numpy()
    if not repeated.any():
        return frame
    if duplicates == "error":
        raise _refusal(frame, id_column, timestamp_column, int(np.flatnonzero(repeated)[0]), source)
    codes = keys.groupby(["id", "time"], sort=False).ngroup().to_numpy()
    rows = np.empty(codes.max() + 1, dtype=np.int64)
    if duplicates == "last":
        rows[codes] = np.arange(len(frame))
        one = frame.take(rows).reset_index(drop=True)
    else:
        rows[codes[::-1]] = np.arange(len(frame))[::-1]
        one = frame.take(rows).reset_index(drop=True)
        one = one.assign(**frame[columns].astype(np.float64).groupby(codes).mean())
    logger.warning("%s: %d rows at a time that has a row already: the %s is taken", source, repeated.sum(), duplicates)
    return one


def _on_clock(times: pd.Series, ids: np.ndarray | None, time_zone: str, source: str) -> pd.Series:
    try:
        return pd.Series(Clock.read(times, ids, time_zone=time_zone, freq="h")[1])
    except TableError as error:
        raise InputError(f"{source!r}: {error}") from error


def _refusal(frame: pd.DataFrame, id_column: str | None, timestamp_column: str, row: int, source: str) -> InputError:
    at = frame[timestamp_column].iloc[row]
    remedy = (
        "keep one of them (duplicates='last' or 'mean'), or give time_zone if the table's clock was set back there"
    )
    if id_column is not None:
        identifier = shown(frame[id_column].iloc[row])
        return InputError(f"{source!r} has several rows for id {identifier} at {at}: {remedy}")
    found = likely_id(frame, timestamp_column, [column for column in frame.columns if column != timestamp_column])
    if found is None:
        return InputError(f"{source!r} has several rows at {at}: {remedy}")
    return InputError(
        f"{source!r} has several rows at {at}, and column {found!r} tells them apart: if it holds the ids of series, "
        f"give id_column={found!r}; otherwise {remedy}"
    )
