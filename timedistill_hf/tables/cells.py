"""The cells and names of columns, whatever type they are stored in."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa

from .._utils.errors import InputError


TIMESTAMP_NAMES = ("date", "timestamp", "datetime", "time", "ds")
ID_NAMES = ("id", "item_id", "unique_id", "series_id")
_SAVED_INDEX = re.compile(r"Unnamed: 0|__index_level_\d+__")
_SHOWN = 80  # characters of a cell in a message


def plain_cells(column: pd.Series, source: str) -> pd.Series:
    """A column of an Arrow, categorical or sparse type as the numpy type or the objects that it stands for."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return column.astype(kind.categories.dtype)
    if isinstance(kind, pd.SparseDtype):
        return column.sparse.to_dense()
    if not isinstance(kind, pd.ArrowDtype):
        return column
    cells = pa.chunked_array(column.array.__arrow_array__())
    try:
        if pa.types.is_decimal(cells.type):
            cells = cells.cast(pa.float64(), safe=False)
        return cells.to_pandas().set_axis(column.index).rename(column.name)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise InputError(f"column {column.name!r} of {source!r} cannot be read: {error}") from error


def is_text(cells: pd.Series | pd.Index) -> bool:
    return pd.api.types.is_object_dtype(cells) or pd.api.types.is_string_dtype(cells)


def is_time(cells: pd.Series | pd.Index) -> bool:
    """Whether a column or index is of a type of timestamps or periods."""
    return pd.api.types.is_datetime64_any_dtype(cells) or isinstance(cells.dtype, pd.PeriodDtype)


def is_saved_index(column: str) -> bool:
    """Whether a column is called as pandas calls the row numbers that it saves beside a table."""
    return _SAVED_INDEX.fullmatch(column) is not None


def find_timestamp_column(frame: pd.DataFrame) -> str | None:
    """The first column of timestamps or periods, else one called as time usually is, or a nameless one of dates."""
    for column in frame.columns:
        if is_time(frame[column]):
            return column
    by_name = [column for column in frame.columns if column.lower() in TIMESTAMP_NAMES]
    by_name += [column for column in frame.columns if is_saved_index(column) and is_text(frame[column])]
    return by_name[0] if by_name else None


def shown_at(cells: pd.Series, row: int) -> str:
    """The cell of a row for a message; also of a timestamp that pandas holds and cannot write."""
    try:
        return shown(cells.iloc[row])
    except (ValueError, OverflowError, NotImplementedError):
        return f"a value of type {cells.dtype} out of its range"


def shown(value: object) -> str:
    """A cell for a message: as Python writes the number or text itself, a long one in part."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
