"""The one reader of tables: which column is time, which ids, which values, each as what it means."""

import datetime
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .._utils.errors import InputError, listed
from .cells import is_time, shown_at
from .columns import ID_NAMES, check_roles, find_timestamp_column, read_numbers, without_saved_index
from .datetimes import read_datetimes
from .table import plain_table


if TYPE_CHECKING:
    from .table import Table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableColumns:
    """A table whose columns are read.

    Args:
        frame: its rows as they are, with datetimes in the time column and numbers in the value columns.
        id_column, timestamp_column, target_columns: which column is what.
        has_dates: whether its time column held dates (`datetime.date`).
    """

    frame: pd.DataFrame
    id_column: str | None
    timestamp_column: str | None
    target_columns: list[str]
    has_dates: bool = False


@dataclass(frozen=True)
class KnownColumns:
    """What a model's training says of a table's columns where nobody else does.

    Args:
        id_column, timestamp_column: what they were called; taken where the table has them.
        target_columns: the value columns of a long table; those taken, where it has all of them.
        columns: the channels; one of these names is no id.
    """

    id_column: str | None = None
    timestamp_column: str | None = None
    target_columns: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def read_columns(
    table: "Table",
    *,
    name: str,
    timestamp_column: str | None = None,
    id_column: str | None = None,
    target_columns: list[str] | None = None,
    time_zone: str | None = None,
    known: KnownColumns | None = None,
) -> TableColumns:
    """Read a table's columns, in the order of its rows, by the rules of [`frame_to_series`].

    Timestamps keep the zone that their column says.

    Args:
        table: whatever [`plain_table`] reads.
        name: what messages call it.
        timestamp_column, id_column, target_columns: which column is what; else what the index says, or `known`, or
            what is found by type or name.
    """
    known = known or KnownColumns()
    frame, id_column = plain_table(table, name, id_column, timestamp_column)
    if len(frame) == 0:
        raise InputError(f"{name!r} has no rows: expected one a time step")
    targets = [target_columns] if isinstance(target_columns, str) else list(target_columns or [])
    others = [column for column in frame.columns if column not in targets]
    if id_column is None and known.id_column in others:
        id_column = known.id_column
    if timestamp_column is None and known.timestamp_column in others:
        timestamp_column = known.timestamp_column
    timestamp_column = timestamp_column or find_timestamp_column(frame)
    check_roles(frame, timestamp_column, id_column, targets, name)
    frame = without_saved_index(frame, (timestamp_column, id_column, *targets), name)
    if id_column is not None:
        _check_ids(frame, id_column, timestamp_column, name)
    targets = targets or _targets(frame, id_column, timestamp_column, known, name)
    has_dates = False
    if timestamp_column is not None:
        has_dates = type(frame[timestamp_column].iloc[0]) is datetime.date
        stamps = read_datetimes(frame[timestamp_column], name, time_zone)
        frame = frame.assign(**{timestamp_column: stamps})
    return TableColumns(read_numbers(frame, targets, name), id_column, timestamp_column, targets, has_dates)


def _check_ids(frame: pd.DataFrame, id_column: str, timestamp_column: str | None, name: str) -> None:
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


def _targets(
    frame: pd.DataFrame, id_column: str | None, timestamp_column: str | None, known: KnownColumns, name: str
) -> list[str]:
    """The value columns of training in a long table that has them; all columns that are left otherwise."""
    others = [column for column in frame.columns if column not in (id_column, timestamp_column)]
    if id_column is not None and known.target_columns and set(known.target_columns) <= set(others):
        extra = [column for column in others if column not in known.target_columns]
        if extra:
            logger.warning(
                "%s: the model forecasts %s; left out are %s", name, listed(known.target_columns), listed(extra)
            )
        return [column for column in others if column in known.target_columns]
    ids = [column for column in others if column.lower() in ID_NAMES and column not in known.columns]
    if id_column is None and ids:
        raise InputError(
            f"{name!r} has a column {ids[0]!r}: if it tells series apart, give id_column={ids[0]!r}; otherwise name "
            "the value columns with target_columns"
        )
    return others
