"""A table's columns: whose names are clear, whose cells are numbers."""

import re
from decimal import Decimal
from numbers import Real

import numpy as np
import pandas as pd

from ..errors import InputError, did_you_mean, listed


ID_NAMES = ("id", "item_id", "unique_id", "series_id")
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
            raise InputError(f"{source!r} has no column {column!r}{nearest or f': it has {listed(frame.columns)}'}")
    if id_column is not None and id_column == timestamp_column:
        raise InputError(f"column {id_column!r} cannot hold both ids and time: name another --id_column")
    for index, column in enumerate(targets):
        if column in targets[:index]:
            raise InputError(f"--target_columns names {column!r} twice: name each column once")
        if column in (timestamp_column, id_column):
            role = "ids" if column == id_column else "time"
            raise InputError(f"--target_columns names {column!r}, the column of {role}: name value columns only")


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
        kind = frame[column].dtype
        if pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind):
            read[column] = _from_text(frame[column], source)
        elif pd.api.types.is_bool_dtype(kind) or kind.kind not in "iuf":
            raise _no_number(frame[column], source)
        _check_size(read.get(column, frame[column]), source)
    return frame.assign(**read)


def shown(value: object) -> str:
    """A cell for a message: as Python writes the number or text itself."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _from_text(cells: pd.Series, source: str) -> pd.Series:
    is_readable = cells.map(lambda cell: isinstance(cell, (str, Real, Decimal)) and not isinstance(cell, bool))
    numbers = pd.to_numeric(cells.where(is_readable), errors="coerce")
    wrong = numbers.isna() & cells.notna()
    if not wrong.any():
        return numbers
    if not numbers.notna().any():
        raise _no_number(cells, source)
    row = int(np.flatnonzero(wrong.to_numpy())[0])
    hint = "leave the cell empty where the value is missing, or name the value columns with --target_columns"
    if re.fullmatch(r"[-+]?\d+,\d+", str(cells.iloc[row])):
        hint = "write it without comma (a decimal comma is read in files separated by semicolons)"
    raise InputError(
        f"row {row} of {source!r} has {shown(cells.iloc[row])} in column {cells.name!r}, no number: {hint}"
    )


def _no_number(cells: pd.Series, source: str) -> InputError:
    value = shown(cells.dropna().iloc[0]) if cells.notna().any() else "nothing"
    hint = f"name the value columns with --target_columns or, if it tells series apart, say --id_column {cells.name}"
    if str(cells.name).lower() in ID_NAMES:
        hint = f"if the table is long, say --id_column {cells.name}"
    if pd.api.types.is_bool_dtype(cells.dtype):
        hint = "write 0 and 1, or name the value columns with --target_columns"
    elif re.fullmatch(r"'[-+]?\d+,\d+'", value):
        hint = "write a decimal point (a decimal comma is read in files separated by semicolons)"
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
