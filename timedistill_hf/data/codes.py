"""Codes for missing, such as -9999: values that come again far outside all others of their channel."""

import logging
import re
from collections.abc import Iterable

import numpy as np


logger = logging.getLogger(__name__)

_MAX_CODES = 4  # of one channel
_FEW_VALUES = 10  # a channel of fewer different ones holds states, of which one may be far from the others
_FAR, _FAR_IF_WRITTEN, _FAR_IF_NEGATIVE = 20.0, 1.0, 0.25
_MAX_CELLS = 0.1
_INTEGER_ENDS = {float(2**bits + change) for bits in (15, 16, 31, 32) for change in (-1, 0)}


def warn_of_codes(
    name: str, columns: Iterable[str], values: np.ndarray, remedy: str = "give missing_value={}"
) -> None:
    """Say once which values `[T, C]` may mean missing ([`find_codes`]), and the remedy, where `{}` stands for them."""
    found: dict[np.floating, list[tuple[str, int]]] = {}
    for column, cells in zip(columns, values.T, strict=True):
        for code, count in find_codes(cells):
            found.setdefault(code, []).append((column, count))
    found = {code: places for code, places in found.items() if sum(count for _, count in places) > 1}
    if not found:
        return
    texts = [str(code).removesuffix(".0") for code in found]
    parts = []
    for text, places in zip(texts, found.values(), strict=True):
        names = [repr(column) for column, _ in places]
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        parts.append(f"{text} in {', '.join(names[:8])}{more} ({sum(count for _, count in places)} cells)")
    remedy = remedy.format(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    logger.warning(
        "%s: values that come again far outside all others of their column: %s; if they mean missing, %s",
        name, ", ".join(parts), remedy,
    )  # fmt: skip


def find_codes(values: np.ndarray) -> list[tuple[np.floating, int]]:
    """Values `[T]` of one channel that may be codes for missing, and in how many cells each is.

    Of the outermost values, those that lie beyond the others by 20 times the range of these, in three to a tenth of
    the cells. What is written as codes are (nines, -1, the ends of integers, 1e20) is found in any number of cells and
    at one range from the others, at a quarter of it if only the code is negative. Zero is none, and where the others
    have few different values, only a long code is one.
    """
    values = np.sort(values[np.isfinite(values)])
    outer, first, last = [], 0, len(values)
    while last > first and len(outer) < _MAX_CODES:
        above = int(np.searchsorted(values, values[first], side="right"))
        below = int(np.searchsorted(values, values[last - 1], side="left"))
        if above >= last:
            break
        if float(values[above]) - float(values[first]) >= float(values[last - 1]) - float(values[below - 1]):
            outer.append((values[first], above - first))
            first = above
        else:
            outer.append((values[last - 1], last - below))
            last = below
    others = values[first:last]
    return [(code, count) for code, count in outer if _is_code(code, count, others, len(values))]


def _is_code(code: np.floating, count: int, others: np.ndarray, num_values: int) -> bool:
    low, high = float(others[0]), float(others[-1])
    distance = max(low - float(code), float(code) - high)
    is_written = _is_written_as_code(code)
    if code == 0 or (not is_written and not 3 <= count <= _MAX_CELLS * num_values):
        return False
    far = _FAR
    if is_written:
        far = _FAR_IF_NEGATIVE if code < 0 <= low else _FAR_IF_WRITTEN
    if distance <= far * (high - low):
        return False
    return bool((is_written and abs(code) >= 99) or np.count_nonzero(np.diff(others)) + 1 >= _FEW_VALUES)


def _is_written_as_code(code: np.floating) -> bool:
    text = f"{abs(float(code)):.7g}"
    nines_or_power = re.fullmatch(r"99+|9+\.9+|1(e\+\d+|0{6,})", text)
    return code == -1 or nines_or_power is not None or abs(float(code)) in _INTEGER_ENDS
