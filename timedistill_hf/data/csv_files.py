"""How a CSV file is written: separator and decimal sign, and the slips that pandas would pass over."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError


_SAMPLE = 1 << 16  # characters that are looked at below the first line
_SEPARATORS = (",", ";", "\t")
_WITH_COMMA = re.compile(r"[-+]?\d+,\d+")
_WITH_POINT = re.compile(r"[-+]?\d*\.\d+")
_VALUE = re.compile(r"[-+]?\d*[.,]?\d+([eE][-+]?\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")


def csv_format(path: Path) -> dict:
    """The options with which pandas reads a CSV file as it is meant.

    Rules: UTF-8 text, with or without a byte order mark. The first line names the columns, each by another name; no
    row has more cells than it. Cells are separated by whichever of comma, semicolon and tab gives most names. Where
    that is not the comma, a comma within numbers is the decimal sign.

    Raises:
        InputError: no text in UTF-8; no rows; a first line that holds values; a name given twice; rows longer than it.
    """
    sample = _read_sample(path)
    head = next((line for line in sample.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=re.sub('"[^"]*"', "", head).count)
    rows = _rows(sample, separator, path)
    names = next(rows, [])
    first = next(rows, None)
    if first is None:
        raise InputError(f"{str(path)!r} has no rows: expected a line of column names and one line a time step")
    _check_names(names, path)
    if len(first) > len(names):
        raise InputError(
            f"{str(path)!r} names {len(names)} columns in its first line and has {len(first)} cells in its first row: "
            "give every column a name, and separate cells by semicolons where numbers have a decimal comma"
        )
    return {"sep": separator, "decimal": _decimal(sample, separator, path), "encoding": "utf-8-sig"}


def _read_sample(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sample = file.readline() + file.read(_SAMPLE)
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    if "\0" in sample:
        raise InputError(f"{str(path)!r} holds bytes that are no text: expected a CSV file, saved as UTF-8")
    return sample


def not_utf8(path: Path) -> InputError:
    """What to say of a file with bytes that are no UTF-8."""
    return InputError(f"{str(path)!r} is no text in UTF-8: save it as 'CSV UTF-8', or convert it (iconv -t utf-8)")


def _rows(sample: str, separator: str, path: Path) -> Iterator[list[str]]:
    try:
        yield from filter(None, csv.reader(io.StringIO(sample, newline=None), delimiter=separator))
    except csv.Error as error:
        raise InputError(f"{str(path)!r} cannot be read as csv: {error}; separate its cells by commas") from error


def _check_names(names: list[str], path: Path) -> None:
    if all(_VALUE.fullmatch(name) for name in names) and not all(name.isdigit() for name in names):
        raise InputError(
            f"the first line of {str(path)!r} holds values, such as {names[0]!r}: write a line with the columns' "
            "names above it"
        )
    twice = [name for index, name in enumerate(names) if name and name in names[:index]]
    if twice:
        raise InputError(f"{str(path)!r} has two columns called {twice[0]!r}: give each its own name")


def _decimal(sample: str, separator: str, path: Path) -> str:
    if separator == ",":
        return "."
    cells = [cell for row in _rows(sample, separator, path) for cell in row]
    has_comma = any(_WITH_COMMA.fullmatch(cell) for cell in cells)
    return "," if has_comma and not any(_WITH_POINT.fullmatch(cell) for cell in cells) else "."
