"""The clock of a table: what its timestamps mean across a change to or from daylight saving time."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from .._utils.errors import InputError


def check_zone(time_zone: str) -> None:
    """Raise a [`InputError`] where there is no zone of that name."""
    try:
        ZoneInfo(time_zone)
    except (KeyError, OSError, ValueError) as error:
        raise InputError(f"time_zone={time_zone!r} is no time zone: expected a name such as Europe/Berlin") from error


def offset_of(freq: str) -> pd.DateOffset:
    """A pandas frequency, whose steps go forward; a [`InputError`] where it is none."""
    try:
        offset = pd.tseries.frequencies.to_offset(freq)
    except (TypeError, ValueError) as error:
        raise InputError(f"freq={freq!r} is no frequency of pandas: expected one such as h, 15min or D") from error
    if offset.n < 1:
        raise InputError(f"freq={freq!r}: expected steps that go forward, such as h, 15min or D")
    if isinstance(offset, pd.offsets.BusinessHour):
        raise InputError(f"freq={freq!r}: hours of business are not counted; with freq='h' the others are missing")
    return offset


def lasts_days(freq: str) -> bool:
    """Whether steps of that pandas frequency are counted in days of the calendar, not in hours or less."""
    offset = offset_of(freq)
    return isinstance(offset, pd.offsets.Day) or not isinstance(offset, pd.offsets.Tick)  # pandas 2: a day is a tick


@dataclass(frozen=True)
class Clock:
    """How timestamps become steps, and steps timestamps again.

    Steps shorter than a day are regular in absolute time: they are counted in UTC, so that an hour is neither lost in
    spring nor doubled in autumn. Days and longer steps are regular on the calendar of the table's zone: midnight is
    followed by midnight, 23, 24 or 25 hours later. A time of day that the clock leaves out on the day of the change is
    the first one after it; one that it shows twice is the first of both.

    Args:
        zone: whose clock it is, `None` where the table says none.
        is_calendar: whether steps are days or longer.
        output_zone: the zone of the table's column, `None` where it has none.
        unit: that of the column, such as `"us"`.
    """

    zone: Any
    is_calendar: bool
    output_zone: Any
    unit: str

    @classmethod
    def read(
        cls,
        stamps: pd.Series,
        codes: np.ndarray | None = None,
        *,
        time_zone: str | None = None,
        freq: str | None = None,
    ) -> "tuple[Clock, np.ndarray]":
        """The clock of a column of datetimes, and each timestamp as `datetime64[ns]` on it.

        Args:
            stamps: datetimes, with a zone or without, none missing.
            codes: which series each row belongs to; all to one where `None`.
            time_zone: whose clock naive timestamps show, or whose calendar is meant by others; the column's own where
                `None`. A time that the zone's clock shows twice is its first pass where it comes first among the rows
                of its series, its second where it comes again.
            freq: pandas frequency, where it is known; found in the timestamps otherwise.

        Raises:
            InputError: there is no such zone, or its clock never showed one of the times.
        """
        codes = np.zeros(len(stamps), dtype=np.int64) if codes is None else codes
        output_zone, unit = stamps.dt.tz, stamps.dt.unit
        if output_zone is None and time_zone is None:
            return cls(None, freq is None or lasts_days(freq), None, unit), _naive(stamps)
        if time_zone is not None:
            check_zone(time_zone)
            stamps = _localize(stamps, codes, time_zone) if output_zone is None else stamps.dt.tz_convert(time_zone)
        local = None if freq is not None and not lasts_days(freq) else _calendar(stamps, codes)
        clock = cls(stamps.dt.tz, local is not None, output_zone, unit)
        return clock, _naive(stamps.dt.tz_convert("UTC")) if local is None else local

    def write(self, times: np.ndarray) -> pd.Series:
        """Timestamps on this clock as a column like the one that was read: its zone and unit."""
        stamps = pd.Series(pd.DatetimeIndex(times))
        if self.zone is not None:
            if self.is_calendar:
                stamps = _wall(stamps, self.zone)
            else:
                stamps = stamps.dt.tz_localize("UTC").dt.tz_convert(self.zone)
            stamps = (
                stamps.dt.tz_localize(None) if self.output_zone is None else stamps.dt.tz_convert(self.output_zone)
            )
        return stamps.dt.as_unit(self.unit)


def _naive(stamps: pd.Series) -> np.ndarray:
    return stamps.dt.tz_localize(None).dt.as_unit("ns").to_numpy()


def _wall(stamps: pd.Series, zone: Any) -> pd.Series:
    """Naive timestamps on that zone's wall, the first pass of a time shown twice, the next time for one left out."""
    return stamps.dt.tz_localize(zone, ambiguous=np.ones(len(stamps), dtype=bool), nonexistent="shift_forward")


def _localize(stamps: pd.Series, codes: np.ndarray, time_zone: str) -> pd.Series:
    comes_again = pd.DataFrame({"code": codes, "stamp": stamps.to_numpy()})
    goes_back = len(stamps) > 1 and stamps.iloc[-1] < stamps.iloc[0]
    is_first = ~comes_again.duplicated(keep="last" if goes_back else "first").to_numpy()
    zoned = stamps.dt.tz_localize(time_zone, ambiguous=is_first, nonexistent="NaT")
    if zoned.isna().any():
        row = int(np.flatnonzero(zoned.isna().to_numpy())[0])
        raise InputError(
            f"row {row} has the time {stamps.iloc[row]}, which the clock of {time_zone} left out: leave out time_zone "
            "if the table's clock does not follow daylight saving time, or name its own zone"
        )
    return zoned


def _calendar(stamps: pd.Series, codes: np.ndarray) -> np.ndarray | None:
    """The local times, where each series has at most one a day, always at one time of day; `None` otherwise."""
    local = _naive(stamps)
    day = local.astype("datetime64[D]")
    rows = pd.DataFrame({"code": codes, "day": day, "time": local}).drop_duplicates()
    if rows.duplicated(["code", "day"]).any():
        return None
    time_of_day = local - day
    usual = pd.Series(time_of_day).groupby(codes).transform("median").to_numpy()
    odd = np.flatnonzero(time_of_day != usual)
    local = day + usual
    # the usual time may be one that the clock left out on the day of the change; all else is no calendar
    shifted = _wall(pd.Series(pd.DatetimeIndex(local[odd])), stamps.dt.tz)
    meant = _naive(shifted.dt.tz_convert("UTC")) == _naive(stamps.iloc[odd].dt.tz_convert("UTC"))
    return local if meant.all() else None
