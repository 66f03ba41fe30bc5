"""CSV files: which separator they have, and the slips that pandas would pass over."""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from .._utils.errors import InputError
from .number_signs import read_text_numbers


_SAMPLE = 1 << 16  # characters that are looked at below the first line
_SEPARATORS = (",", ";", "\t")
_VALUE = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")
_PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def read_csv(
    path: Path, text_column: str | None = None, *, decimal: str | None = None, thousands: str | None = None
) -> pd.DataFrame:
    """A CSV file as it is meant.

    Rules: UTF-8 text, with or without a byte order mark, which may be packed. The first line names the columns, each
    by another name; no row has more cells than it. Cells are separated by whichever of comma, semicolon and tab gives
    most names. Where that is not the comma, or a sign is given, numbers are read by [`find_signs`]; else they have a
    decimal point.

    Args:
        text_column: one that stays text, whatever it looks like.

    Raises:
        InputError: no text in UTF-8; no rows; a first line that holds values; a name given twice; rows longer than it;
            numbers that can be read in two ways.
    """
    separator, names = _format(path)
    as_text = separator != "," or decimal is not None or thousands is not None
    called = [name or f"Unnamed: {index}" for index, name in enumerate(names)]
    options = {"dtype": {name: str for name in called if name != text_column}} if as_text else {}
    if text_column in names:
        options["converters"] = {text_column: str}
    try:
        with opened(path) as file:
            # types are found in the whole column, not part by part
            frame = pd.read_csv(file, sep=separator, encoding="utf-8-sig", low_memory=False, **options)
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (ValueError, OverflowError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{str(path)!r} cannot be read as csv: {said}; give every row as many cells as the first line has names"
        ) from error
    return read_text_numbers(frame, str(path), text_column, decimal, thousands) if as_text else frame


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked; of a `.zip` those of the one file in it."""
    if path.suffix.lower() != ".zip":
        with _PACKED.get(path.suffix.lower(), open)(path, "rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        inside = [each for each in archive.namelist() if not each.endswith("/")]
        if len(inside) != 1:
            raise InputError(f"{str(path)!r} holds {len(inside)} files: pack one table alone")
        with archive.open(inside[0]) as file:
            yield file


def _format(path: Path) -> tuple[str, list[str]]:
    """The separator and the columns' names, after a look at the first rows."""
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
    return separator, names


def _read_sample(path: Path) -> str:
    try:
        with opened(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            sample = text.readline() + text.read(_SAMPLE)
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    if "\0" in sample:
        raise InputError(f"{str(path)!r} holds bytes that are no text: expected a CSV file, saved as UTF-8")
    return sample


def _not_utf8(path: Path) -> InputError:
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
            f"the first line of {str(path)!r} holds values, such as {names[0][:40]!r}: write a line with the columns' "
            "names above it"
        )
    twice = pd.Index([name for name in names if name])
    if not twice.is_unique:
        raise InputError(
            f"{str(path)!r} has two columns called {twice[twice.duplicated()][0][:40]!r}: give each its own name"
        )
