"""Train, validation and test rows: by counts, by ratio or by date."""

from dataclasses import dataclass

import numpy as np

from .._utils.errors import InputError


@dataclass(frozen=True)
class Split:
    """Half-open row ranges. Windows of validation and test may look back into the rows before their own."""

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]


@dataclass(frozen=True)
class SplitSpec:
    """How to split: exactly one of the three.

    Args:
        rows: rows of train, validation and test, in order; what is left after them is not used.
        ratios: shares of train, validation and test. Train and test are rounded down; validation takes the rest where
            the shares add up to 1, and is rounded down too where they do not.
        dates: first timestamp of validation, of test and, optionally, the first one no longer used.
    """

    rows: tuple[int, int, int] | None = None
    ratios: tuple[float, float, float] | None = None
    dates: tuple[str, ...] | None = None

    def resolve(self, num_rows: int, timestamps: np.ndarray | None = None) -> Split:
        """The row ranges for a series of `num_rows`, timestamps (`datetime64`) needed for dates only."""
        if self.dates is not None:
            return self._by_date(num_rows, timestamps)
        if self.ratios is not None:
            train, test = int(num_rows * self.ratios[0]), int(num_rows * self.ratios[2])
            is_whole = abs(sum(self.ratios) - 1) < 1e-9
            counts = (train, num_rows - train - test if is_whole else int(num_rows * self.ratios[1]), test)
        else:
            counts = self.rows
        if sum(counts) > num_rows:
            raise InputError(
                f"split {counts} needs {sum(counts)} rows, the series has {num_rows}: give smaller counts"
            )
        first, second = counts[0], counts[0] + counts[1]
        return Split((0, first), (first, second), (second, second + counts[2]))

    def _by_date(self, num_rows: int, timestamps: np.ndarray | None) -> Split:
        if timestamps is None:
            raise InputError(
                f"split by date {self.dates} needs timestamps, the series has none: split by rows or ratio"
            )
        boundaries = np.array(self.dates, dtype="datetime64[ns]")
        positions = [int(position) for position in np.searchsorted(timestamps, boundaries)]
        first, second, end = [*positions, num_rows][:3]
        if not 0 < first < second < end:
            raise InputError(
                f"split by date {self.dates} leaves train, validation or test empty: the series runs from "
                f"{timestamps[0]} to {timestamps[-1]}; give rising dates inside it"
            )
        return Split((0, first), (first, second), (second, end))


STANDARD_RATIOS = SplitSpec(ratios=(0.7, 0.1, 0.2))


def parse_split(text: str) -> SplitSpec:
    """Read `0.7,0.1,0.2`, `8640,2880,2880` or `2017-07-01,2017-11-01[,2018-03-01]`; commas and slashes both serve."""
    parts = [part.strip() for part in text.replace("/", ",").split(",") if part.strip()]
    expected = "expected ratios (0.7,0.1,0.2), rows (8640,2880,2880) or dates (2017-07-01,2017-11-01)"
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return SplitSpec(dates=_parse_dates(parts, text, expected))
    if len(numbers) != 3 or not min(numbers) > 0 or not sum(numbers) < float("inf"):
        raise InputError(f"split {text!r}: {expected}, three numbers above 0")
    if max(numbers) < 1:
        if sum(numbers) > 1 + 1e-9:
            raise InputError(f"split {text!r}: the ratios add up to {sum(numbers):g}, more than 1")
        return SplitSpec(ratios=tuple(numbers))
    if any(number != int(number) for number in numbers):
        raise InputError(f"split {text!r}: {expected}")
    return SplitSpec(rows=tuple(int(number) for number in numbers))


def _parse_dates(parts: list[str], text: str, expected: str) -> tuple[str, ...]:
    try:
        dates = np.array(parts, dtype="datetime64[ns]")
    except ValueError as error:
        raise InputError(f"split {text!r}: {expected}") from error
    if len(dates) not in (2, 3):
        raise InputError(f"split {text!r}: {expected}, two or three dates")
    return tuple(parts)
