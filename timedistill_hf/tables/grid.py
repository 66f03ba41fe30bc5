"""The grid that timestamps lie on: how far apart they are, which steps were left out, how long a season is."""

import logging
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from .._utils.errors import InputError
from ..student.clock_timedistill import offset_of


logger = logging.getLogger(__name__)

_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_SEASONS = {
    "W": 52, "D": 7, "B": 5, "C": 5, "SMS": 24, "SME": 24, "WOM": 12, "LWOM": 12, "MS": 12, "ME": 12, "BMS": 12,
    "BME": 12, "CBMS": 12, "CBME": 12, "QS": 4, "QE": 4, "BQS": 4, "BQE": 4, "REQ": 4,
}  # fmt: skip
_MOST_STEPS = 10  # of a grid that is found, for each row
_MOST_CELLS = 2**28


def fill_grid(
    frame: pd.DataFrame, timestamp_column: str, source: str, freq: str | None = None
) -> tuple[pd.DataFrame, str | None]:
    """Put back left-out steps as missing rows where all timestamps lie on one grid; no row is lost.

    Args:
        frame: in strict order of time.
        freq: the grid's frequency where it is known; found in the timestamps where `None`.

    Returns:
        The frame and its frequency, `None` where there is no grid.

    Raises:
        InputError: the timestamps are not `freq` apart, or so far apart that their grid fills the memory.
    """
    index = pd.DatetimeIndex(frame[timestamp_column]).as_unit("ns")
    freq = find_frequency(index) if freq is None else check_frequency(index, freq, source)
    if freq is None:
        if len(index) > 1:
            logger.warning(
                "%s: timestamps lie on no regular grid%s; rows are taken as equal steps, so the forecast has no time "
                "column, unless freq names a grid that holds every row",
                source, _uneven(index),
            )  # fmt: skip
        return frame, None
    positions = _positions(index, freq)
    steps = int(positions[-1]) + 1
    if steps == len(index):
        return frame, freq
    if steps > _MOST_STEPS * len(index) and steps * frame.shape[1] > _MOST_CELLS:
        raise InputError(
            f"the {len(index)} rows of {source!r} reach from {index[0]} to {index[-1]}, {steps:,} steps of {freq!r}: "
            "leave out the rows that stand apart, or give the table's own freq"
        )
    logger.warning(
        "%s: %d of %d steps have no row and count as missing (freq %r)%s",
        source, steps - len(index), steps, freq, "; such steps are forecast too" if steps > 2 * len(index) else "",
    )  # fmt: skip
    grid = pd.date_range(index[0], periods=steps, freq=freq).as_unit("ns")
    assert (grid[positions] == index).all(), f"rows of {source!r} are lost on the grid of {freq!r}"
    filled = frame.set_axis(positions).reindex(np.arange(steps))
    filled[timestamp_column] = grid
    return filled, freq


def find_frequency(index: pd.DatetimeIndex) -> str | None:
    """The pandas alias of the grid that all timestamps, in strict order, lie on; `None` where there is none.

    Timestamps at one time of day are looked for on calendars (years, quarters, months, half months, weeks, days,
    business days, and their multiples), others on equal lengths of time. A grid must hold every timestamp, most of
    them one step apart, and not have ten times as many steps; of several that do, the one with the fewest steps, whole
    months before weeks before days.
    """
    index = index.as_unit("ns")
    if len(index) < 3:
        return None
    fitting = [(freq, at) for freq, at in _candidates(index) if _is_usual(at) and at[-1] < _MOST_STEPS * len(at)]
    return min(fitting, key=lambda each: each[1][-1])[0] if fitting else None


def check_frequency(index: pd.DatetimeIndex, freq: str, source: str) -> str:
    """The frequency like `freq` ([`fit_frequency`]) whose grid holds all these timestamps in order.

    Left-out steps are no offence: business days with a holiday among them lie on the grid of business days.

    Raises:
        InputError: some lie off it, or they are usually further apart.
    """
    fitting = fit_frequency(index, freq)
    if fitting is not None and _is_usual(_positions(index, fitting)):
        return fitting
    found = find_frequency(index)
    if fitting is not None and found is None:
        return fitting
    off = _positions(index, freq) < 0
    apart = f"{found!r} apart" if found else f"on no grid of that frequency, such as {index[int(off.argmax())]}"
    raise InputError(
        f"expected steps of {freq!r}, the timestamps of {source!r} are {apart}: resample the table to {freq!r}, or "
        "use a model, or a freq, that is like these"
    )


def fit_frequency(index: pd.DatetimeIndex, freq: str) -> str | None:
    """`freq`, or where its grid does not hold all timestamps in order, one of other days of week, month or year.

    Months may begin or end, on any day or on business days; weeks and years may do so on any day and month.
    """
    return next((offset_of(each).freqstr for each in alike(freq) if (_positions(index, each) >= 0).all()), None)


def season_of(freq: str | None) -> int:
    """Steps of one season at that frequency, 1 where none is usual.

    A year of weeks, half months, months or quarters, a week of days or business days, a day of minutes or hours, an
    hour of seconds; of several of them, as many as come to it without rest.
    """
    if freq is None:
        return 1
    offset = offset_of(freq)
    multiple, rule = offset.n, offset.rule_code.split("-")[0]
    if isinstance(offset, pd.offsets.Tick):
        step, day = pd.Timedelta(offset), pd.Timedelta(days=1)
        if step % day != pd.Timedelta(0):
            whole = day if step >= pd.Timedelta(minutes=1) else pd.Timedelta(hours=1)
            is_usual = step >= pd.Timedelta(seconds=1) and whole % step == pd.Timedelta(0)
            return whole // step if is_usual else 1
        multiple, rule = step // day, "D"
    if rule == "D" and multiple % 7 == 0:
        multiple, rule = multiple // 7, "W"
    season = _SEASONS.get(rule, 1)
    return season // multiple if season % multiple == 0 else 1


def _candidates(index: pd.DatetimeIndex) -> Iterator[tuple[str, np.ndarray]]:
    """Frequencies whose grids hold all of these at least three timestamps in order, and the step of each on them."""
    days = index.normalize()
    if not (index - days == index[0] - days[0]).all():
        step = pd.Timedelta(int(np.gcd.reduce(np.diff(index.asi8))))
        yield pd.tseries.frequencies.to_offset(step).freqstr, (index - index[0]) // step
        return
    for freq in _calendars(days):
        positions = _positions(days, freq)
        if (positions >= 0).all():
            multiple = int(np.gcd.reduce(np.diff(positions)))
            yield _multiple_of(freq, multiple, days[0]), positions // multiple


def _calendars(days: pd.DatetimeIndex) -> Iterator[str]:
    """Single steps of those calendars that may hold these days."""
    weekday, day, days_left = days.day_of_week, days.day, days.days_in_month - days.day
    for freq, may_hold in (("MS", day == 1), ("ME", days_left == 0), ("BMS", day <= 3), ("BME", days_left <= 2)):
        if may_hold.all():
            yield freq
    if len(weekday.unique()) == 1:
        week = (day - 1) // 7 + 1
        if len(week.unique()) == 1 and week[0] < 5:
            yield f"WOM-{week[0]}{_DAYS[weekday[0]]}"
        if (days_left < 7).all():
            yield f"LWOM-{_DAYS[weekday[0]]}"
    for freq, is_border in (("SMS", day == 1), ("SME", days_left == 0)):
        others = day[~is_border].unique()
        if len(others) == 1 and 2 <= others[0] <= 27:
            yield f"{freq}-{others[0]}"
    if len(weekday.unique()) == 1:
        yield f"W-{_DAYS[weekday[0]]}"
    yield "D"
    if (weekday < 5).all():
        yield "B"


def _multiple_of(freq: str, multiple: int, first: pd.Timestamp) -> str:
    """The alias of that many steps, the first of them given: 3 of `"MS"` are `"QS-JAN"`, 12 are `"YS-JAN"`."""
    if freq in ("MS", "ME", "BMS", "BME") and multiple % 3 == 0:
        month, last = first.month - 1, freq[-1] == "E"
        if multiple % 12 == 0:
            multiple, letter = multiple // 12, "Y"
        else:
            multiple, letter, month = multiple // 3, "Q", month % 3 + 9 * last
        freq = f"{freq.replace('M', letter)}-{_MONTHS[month]}"
    return freq if multiple == 1 else f"{multiple}{freq}"


def alike(freq: str) -> list[str]:
    """The frequencies of as many weeks or months, on whatever days they begin or end, itself first."""
    offset = offset_of(freq)
    rule = offset.rule_code.split("-")[0]
    if rule == "W":
        return [freq, *(f"{offset.n}W-{day}" for day in _DAYS)]
    of_months = re.fullmatch(r"B?([MQY])[SE]", rule)
    if of_months is None:
        return [freq]
    letter = of_months[1]
    months = [f"-{month}" for month in _MONTHS[: {"Q": 3, "Y": 12}.get(letter, 0)]] or [""]
    return [freq, *(f"{offset.n}{day}{letter}{end}{month}" for day in ("", "B") for end in "SE" for month in months)]


def _positions(index: pd.DatetimeIndex, freq: str) -> np.ndarray:
    """The step of each timestamp on the grid that begins with the first one, -1 where it lies off the grid."""
    offset = offset_of(freq)
    if isinstance(offset, (pd.offsets.Tick, pd.offsets.Day)):
        positions, rest = np.divmod(index.asi8 - index.asi8[0], pd.Timedelta(offset).value)
        return np.where(rest == 0, positions, -1)
    return pd.date_range(index[0], index[-1], freq=offset).as_unit("ns").get_indexer(index)


def _is_usual(positions: np.ndarray) -> bool:
    """Whether at least half of the timestamps follow the one before after a single step."""
    return len(positions) < 2 or (np.diff(positions) == 1).mean() >= 0.5


def _uneven(index: pd.DatetimeIndex) -> str:
    """Where timestamps in order are further apart, or less, than most."""
    steps = pd.Series(np.diff(index))
    if len(steps) < 2:
        return ""
    usual = steps.mode().iloc[0]
    odd = int((steps != usual).argmax())
    return f" (most often {str(usual).removeprefix('0 days ')} apart, but {index[odd + 1]} follows {index[odd]})"
