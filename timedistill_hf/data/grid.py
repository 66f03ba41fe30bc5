"""The grid that timestamps lie on: how far apart they are, which steps were left out, how long a season is."""

import logging
import warnings

import numpy as np
import pandas as pd

from ..errors import InputError


logger = logging.getLogger(__name__)

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


def fill_grid(
    frame: pd.DataFrame, timestamp_column: str, source: str, freq: str | None = None
) -> tuple[pd.DataFrame, str | None]:
    """Put back left-out steps as missing rows where all timestamps lie on one grid.

    Args:
        frame: in order of time.
        freq: the grid's frequency where it is known; found in the timestamps where `None`.

    Returns:
        The frame and its frequency, `None` where there is no grid.

    Raises:
        InputError: the timestamps are not `freq` apart.
    """
    index = pd.DatetimeIndex(frame[timestamp_column])
    if freq is None:
        freq = find_frequency(index)
    else:
        check_frequency(index, freq, source)
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


def check_frequency(index: pd.DatetimeIndex, freq: str, source: str) -> None:
    """Raise an [`InputError`] where timestamps in order lie off the grid of `freq`, or usually further apart.

    Left-out steps are no offence: business days with a holiday among them lie on the grid of business days.
    """
    positions = pd.date_range(index[0], index[-1], freq=freq).get_indexer(index)
    found = find_frequency(index)
    if (positions >= 0).all() and (found is None or pd.Series(np.diff(positions)).mode().iloc[0] == 1):
        return
    apart = f"{found!r} apart" if found else f"on no grid of that frequency, such as {_off_grid(index, positions)}"
    raise InputError(
        f"the model was trained on steps of {freq!r}, the timestamps of {source!r} are {apart}: resample the table to "
        f"{freq!r}, or train a model on data like these"
    )


def _off_grid(index: pd.DatetimeIndex, positions: np.ndarray) -> pd.Timestamp:
    return index[int(np.flatnonzero(positions < 0)[0])]


def find_frequency(index: pd.DatetimeIndex) -> str | None:
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


def season_of(freq: str | None) -> int:
    """Steps of one season at that frequency, 1 where none is usual."""
    if freq is None:
        return 1
    offset = pd.tseries.frequencies.to_offset(freq)
    try:
        return _SEASONS.get(pd.Timedelta(offset), 1)
    except ValueError:
        return _CALENDAR_SEASONS.get(freq[0], 52 if freq.startswith("W") else 1)
