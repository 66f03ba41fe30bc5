"""The grid that timestamps lie on: how far apart they are, the number of each step, how long a season is."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from .clock import offset_of


DAY = 86_400_000_000_000
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_SEASONS = {
    "W": 52, "D": 7, "B": 5, "C": 5, "SMS": 24, "SME": 24, "WOM": 12, "LWOM": 12, "MS": 12, "ME": 12, "BMS": 12,
    "BME": 12, "CBMS": 12, "CBME": 12, "QS": 4, "QE": 4, "BQS": 4, "BQE": 4, "REQ": 4,
}  # fmt: skip
MAX_STEPS = 10  # of a grid that is found, for each row


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
        self.freq, self.given = freq, times
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
    fitting = [(freq, at) for freq, at in _candidates(index) if _is_usual(at) and at[-1] < MAX_STEPS * len(at)]
    return min(fitting, key=lambda each: each[1][-1])[0] if fitting else None


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
