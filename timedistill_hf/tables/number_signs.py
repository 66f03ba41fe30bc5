"""Numbers written as text: which sign is the decimal one and which parts thousands."""

import re

import pandas as pd

from .._utils.errors import InputError
from .cells import is_text


_SIGNS = (".", ",")
_SPACES = ("\u00a0", "\u202f")  # what programs write for a blank between thousands
_NUMBER_LIKE = r"[-+]?[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?"
_WORDS = r"[-+]?(?:nan|inf|infinity)"


def check_signs(decimal: str | None, thousands: str | None) -> None:
    """Raise where a sign is none, or both are one."""
    for name, sign in (("decimal", decimal), ("thousands", thousands)):
        if sign is not None and (len(sign) != 1 or sign.isalnum() or sign in '-+"\n\t'):
            raise InputError(f"{name}={sign!r}: expected one sign, such as ',' or '.'")
    if decimal is not None and decimal == thousands:
        raise InputError(f"decimal={decimal!r} and thousands={thousands!r}: expected two signs")


def read_text_numbers(
    frame: pd.DataFrame, source: str, text_column: str | None, decimal: str | None, thousands: str | None
) -> pd.DataFrame:
    """The frame with numbers for each column of text that holds nothing else; other text stays as it is.

    Args:
        text_column: one that stays text, whatever it looks like.
        decimal, thousands: the signs, where they are known; else found by [`find_signs`].
    """
    texts = {name: frame[name] for name in frame.columns if name != text_column and is_text(frame[name])}
    decimal, thousands = find_signs(list(texts.values()), source, decimal, thousands)
    frame = frame.copy(deep=False)
    for name, cells in texts.items():
        frame[name] = _read_column(cells, source, decimal, thousands)
    return frame


def find_signs(
    columns: list[pd.Series], source: str, decimal: str | None = None, thousands: str | None = None
) -> tuple[str, str | None]:
    """The decimal sign and the sign between thousands of a table, of its columns of text.

    A sign that is twice in a number, or before another sign, parts thousands; one that is there once and has not
    exactly three digits after one to three others is the decimal one. The other sign, where only that is clear, says
    it too, and a number of four digits without any sign in a column where others would have one.

    Raises:
        InputError: numbers such as 1.234 alone, which can be read in two ways.
    """
    if decimal is not None:
        return decimal, thousands if thousands is not None else _other(decimal)
    if thousands in _SIGNS:
        return _other(thousands), thousands
    is_decimal, is_thousands, either = dict.fromkeys(_SIGNS, False), dict.fromkeys(_SIGNS, False), {}
    for cells in columns:
        numbers = _numbers_of(cells, thousands)
        for sign in _SIGNS:
            with_sign = numbers[numbers.str.contains(sign, regex=False)]
            if not len(with_sign):
                continue
            s, o = re.escape(sign), re.escape(_other(sign))
            parts = with_sign.str.fullmatch(rf"[-+]?[1-9]\d{{0,2}}(?:{s}\d{{3}})+(?:{o}\d*)?")
            once = with_sign.str.count(s) == 1
            unclear = with_sign.str.fullmatch(rf"[-+]?[1-9]\d{{0,2}}{s}\d{{3}}")
            is_thousands[sign] |= bool((parts & ~unclear).any())
            is_decimal[sign] |= bool((once & ~parts).any())
            if unclear.any():
                is_decimal[sign] |= bool(numbers.str.fullmatch(r"[-+]?\d{4,}").any())
                either.setdefault(sign, (cells.name, with_sign[unclear].iloc[0]))
    for sign, (name, cell) in either.items():
        other = _other(sign)
        if is_decimal[sign] or is_thousands[sign] or is_thousands[other]:
            continue
        if is_decimal[other]:
            is_thousands[sign] = True
            continue
        raise InputError(
            f"{source!r} has {cell!r} in column {name!r}, which can be read in two ways: give decimal={sign!r} or "
            f"thousands={sign!r}"
        )
    has_comma = (is_decimal[","] or is_thousands["."]) and not is_decimal["."]
    decimal = "," if has_comma else "."
    parting = thousands or next((sign for sign in _SIGNS if is_thousands[sign] and sign != decimal), None)
    return decimal, parting


def _other(sign: str) -> str | None:
    return {".": ",", ",": "."}.get(sign)


def _numbers_of(cells: pd.Series, thousands: str | None) -> pd.Series:
    """The different texts of a column that look like numbers; none of a column of dates or words."""
    texts = cells.dropna().drop_duplicates()
    texts = _stripped(texts[texts.map(lambda text: isinstance(text, str)).astype(bool)], thousands)
    if thousands is not None:
        texts = texts.str.replace(thousands, "", regex=False)
    numbers = texts[texts.str.fullmatch(_NUMBER_LIKE)]
    parted = numbers.str.count(r"[.]").gt(1) | numbers.str.count(",").gt(1)
    is_date = parted & ~numbers.str.fullmatch(r"[-+]?\d{1,3}(?:[.,]\d{3})+(?:[.,]\d*)?")
    return numbers[:0] if is_date.any() or 2 * len(numbers) < len(texts) else numbers


def _stripped(texts: pd.Series, thousands: str | None) -> pd.Series:
    texts = texts.astype(str).str.strip()
    for space in _SPACES if thousands == " " else ():
        texts = texts.str.replace(space, " ", regex=False)
    return texts


def _read_column(cells: pd.Series, source: str, decimal: str, thousands: str | None) -> pd.Series:
    """Numbers, where all of a column's cells are written as such with these signs."""
    known = cells.reset_index(drop=True).dropna()
    if not known.map(lambda text: isinstance(text, str)).all():
        return cells
    texts = _stripped(known, thousands)
    d = re.escape(decimal)
    is_number = texts.str.fullmatch(rf"[-+]?(?:\d+(?:{d}\d*)?|{d}\d+)(?:[eE][-+]?\d+)?")
    is_number |= texts.str.fullmatch(_WORDS, case=False)
    if thousands is not None:
        t = re.escape(thousands)
        parted = texts.str.fullmatch(rf"[-+]?\d{{1,3}}(?:{t}\d{{2,3}})*{t}\d{{3}}(?:{d}\d*)?")
        texts = texts.where(~parted, texts.str.replace(thousands, "", regex=False))
        is_number |= parted
    if not is_number.all():
        _check_point(cells.name, texts[~is_number], source, decimal)
        return cells
    numbers = pd.to_numeric(texts.str.replace(decimal, ".", regex=False).astype(object))
    numbers = numbers if len(numbers) else numbers.astype(float)
    return numbers.reindex(range(len(cells))).set_axis(cells.index)


def _check_point(column: str, odd: pd.Series, source: str, decimal: str) -> None:
    """Raise where all other cells have a point that is not the decimal sign: they would be read as if it were."""
    if decimal != "." and odd.str.fullmatch(r"[-+]?\d*\.\d+").all():
        raise InputError(
            f"row {odd.index[0]} of {source!r} has {odd.iloc[0]!r} in column {column!r}, and the decimal sign is "
            f"{decimal!r}: give thousands='.' if the point parts thousands, or write one decimal sign"
        )
