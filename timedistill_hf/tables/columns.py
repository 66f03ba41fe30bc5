"""A table's columns: which is what, and numbers for the cells of values."""

import logging
import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from numbers import Real

import numpy as np
import pandas as pd

from .._utils.errors import InputError, did_you_mean, listed
from .cells import is_text, is_time, plain_cells, shown, shown_at


logger = logging.getLogger(__name__)

TIMESTAMP_NAMES = ("date", "timestamp", "datetime", "time", "ds")
ID_NAMES = ("id", "item_id", "unique_id", "series_id")
_PARTED = re.compile(r"[-+]?\d+([., '\u00a0\u202f])\d[\d.,]*")  # a number with a sign that may part thousands
_SAVED_INDEX = re.compile(r"Unnamed: 0|__index_level_\d+__")
_LARGEST = float(np.finfo(np.float32).max)


def with_plain_names(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """The frame with names as text, each given once; otherwise an [`InputError`]."""
    if frame.columns.nlevels > 1:
        raise InputError(
            f"the columns of {source!r} have names of {frame.columns.nlevels} levels, such as {frame.columns[0]!r}: "
            "give each one name"
        )
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InputError(f"{source!r} has two columns called {twice[0]!r}: give each its own name")
    return frame


def check_roles(
    frame: pd.DataFrame,
    timestamp_column: str | None,
    id_column: str | None,
    target_columns: list[str] | None,
    source: str,
) -> None:
    """Raise an [`InputError`] where a column that was named is not there, or has two roles."""
    targets = target_columns or []
    for column in (timestamp_column, id_column, *targets):
        if column is not None and column not in frame.columns:
            nearest = did_you_mean(column, frame.columns)
            raise InputError(
                f"{source!r} has no column {shown(column)}{nearest or f': it has {listed(frame.columns)}'}"
            )
    if id_column is not None and id_column == timestamp_column:
        raise InputError(f"column {id_column!r} cannot hold both ids and time: give another id_column")
    for column, count in Counter(targets).items():
        if count > 1:
            raise InputError(f"target_columns names {column!r} twice: name each column once")
        if column in (timestamp_column, id_column):
            role = "ids" if column == id_column else "time"
            raise InputError(f"target_columns names {column!r}, the column of {role}: name value columns only")


def find_timestamp_column(frame: pd.DataFrame) -> str | None:
    """The first column of timestamps or periods, else one called as time usually is, or a nameless one of dates."""
    for column in frame.columns:
        if is_time(frame[column]):
            return column
    by_name = [column for column in frame.columns if column.lower() in TIMESTAMP_NAMES]
    by_name += [column for column in frame.columns if is_saved_index(column) and is_text(frame[column])]
    return by_name[0] if by_name else None


def is_saved_index(column: str) -> bool:
    """Whether a column is called as pandas calls the row numbers that it saves beside a table."""
    return _SAVED_INDEX.fullmatch(column) is not None


def without_saved_index(frame: pd.DataFrame, wanted: Iterable[str | None], source: str) -> pd.DataFrame:
    """Leave out the row numbers that pandas writes beside a table when it is saved with its index."""
    saved = [
        column
        for column in frame.columns
        if is_saved_index(column) and column not in wanted and pd.api.types.is_integer_dtype(frame[column])
    ]
    if saved:
        logger.warning("%s: %s is a saved index and is left out", source, ", ".join(map(repr, saved)))
    return frame.drop(columns=saved)


def likely_id(frame: pd.DataFrame, timestamp_column: str, others: Iterable[str]) -> str | None:
    """Of the columns `others` the one that tells series apart: with it, no time is there twice."""

    def rank(column: str) -> tuple[bool, bool]:
        return not (column.lower() in ID_NAMES or column.lower().endswith("id")), not is_text(frame[column])

    candidates = [
        column
        for column in others
        if is_text(frame[column])
        or isinstance(frame[column].dtype, pd.CategoricalDtype)
        or pd.api.types.is_integer_dtype(frame[column])
    ]
    for column in sorted(candidates, key=rank):
        try:
            several = frame[column].nunique() < len(frame)
            if several and not frame.duplicated([column, timestamp_column]).any():
                return column
        except TypeError:  # cells that are lists and the like tell nothing apart
            continue
    return None


def read_numbers(frame: pd.DataFrame, columns: list[str], source: str) -> pd.DataFrame:
    """The frame with these columns as numbers that fit float32; text that reads as a number in every row is one.

    Raises:
        InputError: no columns, or a cell that is no number or too large.
    """
    if not columns:
        raise InputError(
            f"{source!r} has no value column beside its time column: expected one a series, of the columns it has, "
            f"{listed(frame.columns)}"
        )
    read = {}
    for column in columns:
        cells = frame[column]
        if not isinstance(cells.dtype, pd.CategoricalDtype):
            cells = plain_cells(cells, source)
        if is_text(cells):
            cells = _from_text(cells, source)
        elif pd.api.types.is_bool_dtype(cells) or getattr(cells.dtype, "kind", "O") not in "iuf":
            raise _no_number(cells, source)
        _check_size(cells, source)
        read[column] = cells
    return frame.assign(**read)


def _from_text(cells: pd.Series, source: str) -> pd.Series:
    is_readable = cells.map(lambda cell: isinstance(cell, (str, Real, Decimal)) and not isinstance(cell, bool))
    numbers = pd.to_numeric(cells.where(is_readable), errors="coerce")
    wrong = numbers.isna() & cells.notna()
    if not wrong.any():
        return numbers
    if not numbers.notna().any():
        raise _no_number(cells, source)
    row = int(np.flatnonzero(wrong.to_numpy())[0])
    hint = "leave the cell empty where the value is missing, or name the value columns with target_columns"
    sign = _PARTED.fullmatch(str(cells.iloc[row]))
    if sign is not None:
        hint = f"write it without {'comma' if sign[1] == ',' else repr(sign[1])}, or give thousands={sign[1]!r}"
        hint += f" or decimal={sign[1]!r}" if sign[1] in ".," else ""
    raise InputError(
        f"row {row} of {source!r} has {shown(cells.iloc[row])} in column {cells.name!r}, no number: {hint}"
    )


def _no_number(cells: pd.Series, source: str) -> InputError:
    value = shown_at(cells.dropna(), 0) if cells.notna().any() else "nothing"
    hint = f"name the value columns with target_columns or, if it tells series apart, give id_column={cells.name!r}"
    if str(cells.name).lower() in ID_NAMES:
        hint = f"if the table is long, give id_column={cells.name!r}"
    if pd.api.types.is_bool_dtype(cells.dtype):
        hint = f"write 0 and 1, or {hint}"
    elif (sign := _PARTED.fullmatch(value.strip("'\""))) is not None:
        hint = f"write a decimal point, or give decimal={sign[1]!r} or thousands={sign[1]!r}"
    return InputError(f"column {cells.name!r} of {source!r} holds {value}, no number: {hint}")


def _check_size(cells: pd.Series, source: str) -> None:
    values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    too_large = np.isfinite(values) & (np.abs(values) > _LARGEST)
    if too_large.any():
        row = int(np.flatnonzero(too_large)[0])
        raise InputError(
            f"row {row} of {source!r} has {values[row]:g} in column {cells.name!r}: expected at most {_LARGEST:.1e}; "
            "correct it, or choose a larger unit"
        )
