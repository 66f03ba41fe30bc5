"""A table's columns: which is time, which ids, which values, each as what it means."""

import datetime
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .._utils.errors import InputError, did_you_mean, listed
from .cells import (
    ID_NAMES,
    find_timestamp_column,
    is_saved_index,
    is_text,
    is_time,
    plain_cells,
    shown,
    shown_at,
)
from .datetimes import read_datetimes
from .table import plain_table


if TYPE_CHECKING:
    from .table import Table

logger = logging.getLogger(__name__)

NOTHING_KNOWN = MappingProxyType({})
_PARTED = re.compile(r"[-+]?\d+([., '\u00a0\u202f])\d[\d.,]*")  # a number with a sign that may part thousands
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class TableColumns:
    """A table whose columns are read.

    Args:
        frame: its rows as they are, with datetimes in the time column and numbers in the value columns.
        id_column, timestamp_column, target_columns: which column is what.
        codes: `[n]`, the number of each row's id, in the order of their first rows; all 0 without ids.
        has_dates: whether its time column held dates (`datetime.date`).
    """

    frame: pd.DataFrame
    id_column: str | None
    timestamp_column: str | None
    target_columns: list[str]
    codes: np.ndarray
    has_dates: bool = False


def read_columns(
    table: "Table",
    name: str,
    *,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    time_zone: str | None = None,
    known: Mapping = NOTHING_KNOWN,
) -> TableColumns:
    """Read a table's columns, in the order of its rows. Timestamps keep the zone that their column says.

    The time column is the one named, else the first of datetime type, or called date, timestamp, datetime, time or ds,
    else an index of timestamps or a nameless first column of dates. A nameless first column of whole numbers is a
    saved index and is left out. Text that reads as a number in every row of a column is one.

    Args:
        table: whatever [`plain_table`] reads.
        name: what messages call it.
        timestamp_column, id_column, target_columns: which column is what; else what the index says, or `known`, or
            what is found by type or name.
        known: the settings of a model's processor: its `id_column` and `timestamp_column` are taken where the table
            has them, and of a long table its `target_columns`, of a wide one its `columns`, where all are there.

    Raises:
        InputError: the table cannot be read, or what a column is for is not clear.
    """
    targets = [target_columns] if isinstance(target_columns, str) else list(target_columns or [])
    frame, id_column, timestamp_column = choose_columns(table, name, id_column, timestamp_column, targets, known)
    if len(frame) == 0:
        raise InputError(f"{name!r} has no rows: expected one a time step")
    frame = _without_saved_index(frame, (timestamp_column, id_column, *targets), name)
    codes = np.zeros(len(frame), dtype=np.int64)
    if id_column is not None:
        codes = _read_ids(frame, id_column, timestamp_column, name)
    targets = targets or _targets(frame, id_column, timestamp_column, known, name)
    has_dates = False
    if timestamp_column is not None:
        has_dates = type(frame[timestamp_column].iloc[0]) is datetime.date
        stamps = read_datetimes(frame[timestamp_column], name, time_zone)
        frame = frame.assign(**{timestamp_column: stamps})
    return TableColumns(_read_numbers(frame, targets, name), id_column, timestamp_column, targets, codes, has_dates)


def choose_columns(
    table: "Table",
    name: str,
    id_column: str | None,
    timestamp_column: str | None,
    targets: list[str],
    known: Mapping = NOTHING_KNOWN,
) -> tuple[pd.DataFrame, str | None, str | None]:
    """The table with plain names, its column of ids and that of time, where it has them; see [`read_columns`]."""
    frame, id_column = plain_table(table, name, id_column, timestamp_column)
    others = [column for column in frame.columns if column not in targets]
    if id_column is None and known.get("id_column") in others:
        id_column = known["id_column"]
    if timestamp_column is None and known.get("timestamp_column") in others:
        timestamp_column = known["timestamp_column"]
    timestamp_column = timestamp_column or find_timestamp_column(frame)
    if len(frame.columns):
        _check_roles(frame, timestamp_column, id_column, targets, name)
    return frame, id_column, timestamp_column


def _check_roles(
    frame: pd.DataFrame,
    timestamp_column: str | None,
    id_column: str | None,
    targets: list[str],
    source: str,
) -> None:
    """Raise an [`InputError`] where a column that was named is not there, or has two roles."""
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


def _read_ids(frame: pd.DataFrame, id_column: str, timestamp_column: str | None, name: str) -> np.ndarray:
    if timestamp_column is None:
        raise InputError(
            f"{name!r} is long (id column {id_column!r}) and needs a time column: give timestamp_column, one of "
            f"{listed(column for column in frame.columns if column != id_column)}"
        )
    ids = frame[id_column]
    try:
        codes = pd.factorize(ids)[0]
        if is_time(ids):
            ids.drop_duplicates().astype(str)  # of some that it holds pandas cannot say the name
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        raise InputError(
            f"column {id_column!r} of {name!r} holds {shown_at(ids, 0)}, no ids: give an id_column of text or numbers"
        ) from error
    if codes.min() < 0:
        row = int(np.flatnonzero(codes < 0)[0])
        raise InputError(f"row {row} of {name!r} has no id in column {id_column!r}: fill it, or drop the row")
    return codes.astype(np.int64)


def _targets(
    frame: pd.DataFrame, id_column: str | None, timestamp_column: str | None, known: Mapping, name: str
) -> list[str]:
    """The value columns of training in a table that has all of them; all columns that are left otherwise."""
    others = [column for column in frame.columns if column not in (id_column, timestamp_column)]
    trained = known.get("columns" if id_column is None else "target_columns") or ()
    if trained and set(trained) <= set(others):
        extra = [column for column in others if column not in trained]
        if extra:
            logger.warning("%s: the model does not know the columns %s; they are left out", name, listed(extra))
        return [column for column in others if column in trained]
    ids = [column for column in others if column.lower() in ID_NAMES and column not in known.get("columns", ())]
    if id_column is None and ids:
        raise InputError(
            f"{name!r} has a column {ids[0]!r}: if it tells series apart, give id_column={ids[0]!r}; otherwise name "
            "the value columns with target_columns"
        )
    return others


def _without_saved_index(frame: pd.DataFrame, wanted: Iterable[str | None], source: str) -> pd.DataFrame:
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


def _read_numbers(frame: pd.DataFrame, columns: list[str], source: str) -> pd.DataFrame:
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
