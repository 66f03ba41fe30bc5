"""Whatever holds a table, as a DataFrame with plain names: of pandas, polars, Arrow or `datasets`; time and ids out of
its index."""

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
import pyarrow as pa

from .._utils.errors import InputError, listed
from .cells import ID_NAMES, TIMESTAMP_NAMES, find_timestamp_column, is_text, is_time
from .files import from_arrow, reason


if TYPE_CHECKING:
    import datasets

    Table: TypeAlias = pd.DataFrame | pd.Series | pa.Table | datasets.Dataset | Any

KINDS = "a DataFrame (of pandas or polars), an Arrow table or a datasets.Dataset"


def is_table(table: object) -> bool:
    """Whether [`as_frame`] may read it."""
    arrow = hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__")
    return isinstance(table, (pd.DataFrame, pd.Series)) or arrow or _is_dataset(table)


def _is_dataset(table: object) -> bool:
    datasets = sys.modules.get("datasets")  # whoever has one has imported it
    kinds = ("Dataset", "IterableDataset", "DatasetDict", "IterableDatasetDict")
    return datasets is not None and isinstance(table, tuple(getattr(datasets, kind) for kind in kinds))


def as_frame(table: "Table", source: str) -> pd.DataFrame:
    """A table as a DataFrame, with the index that it has.

    Args:
        table: a DataFrame or Series of pandas, anything of the Arrow interface (`__arrow_c_stream__`: polars, pyarrow,
            DuckDB), or a `datasets.Dataset`.
        source: what messages call it.

    Raises:
        InputError: it is no such thing, or one that pandas cannot hold.
    """
    if isinstance(table, pd.Series):
        return table.to_frame("value" if table.name is None else table.name)
    if isinstance(table, pd.DataFrame):
        return table if type(table) is pd.DataFrame else pd.DataFrame(table)
    if not is_table(table):
        lazy = "; collect() it first" if hasattr(table, "collect") else ""
        raise InputError(f"{type(table).__name__!r} is no kind of table: give {KINDS}{lazy}")
    if _is_dataset(table) and isinstance(table, dict):
        raise InputError(f"the data set has the splits {list(table)}: give one of them, as dataset['train']")
    try:
        if not _is_dataset(table):
            return from_arrow(pa.table(table))
        frame = table.to_pandas()
        return frame if isinstance(frame, pd.DataFrame) else pd.concat(frame, ignore_index=True)
    except Exception as error:  # every library has errors of its own
        raise InputError(f"{source!r} cannot be read as a table: {reason(error)}; give a pandas.DataFrame") from error


def plain_table(
    table: "Table", source: str, id_column: str | None = None, timestamp_column: str | None = None
) -> tuple[pd.DataFrame, str | None]:
    """A table with text as names, each given once, and in columns what its index holds of time and ids.

    An index of timestamps, periods (their start), named ids or words is a column, unless one holds time already; row
    numbers are left out. Of two levels, one of them time, the other holds the ids.

    Returns:
        The frame, and its column of ids: `id_column`, or what the index says.

    Raises:
        InputError: as [`as_frame`]; names of several levels or given twice; an index of several levels whose meaning
            is not clear.
    """
    frame = _with_plain_names(as_frame(table, source), source)
    if frame.index.nlevels > 1:
        return _without_levels(frame, source, id_column, timestamp_column)
    index = frame.index
    name = None if index.name is None else str(index.name)
    if isinstance(index, pd.RangeIndex) and name is None:
        return frame, id_column
    wanted = name is not None and name in (id_column, timestamp_column)
    if name in frame.columns:
        return frame.reset_index(drop=True), id_column
    if is_time(index):
        if not wanted and (timestamp_column or find_timestamp_column(frame)) in frame.columns:
            return frame.reset_index(drop=True), id_column
    elif not (wanted or _names_ids(index, name)):
        holds_dates = is_text(index) and name is None and find_timestamp_column(frame) is None
        if not (holds_dates and pd.notna(pd.to_datetime(index[:1], errors="coerce")).all()):
            return frame.reset_index(drop=True), id_column
    return frame.rename_axis(name or TIMESTAMP_NAMES[0]).reset_index(), id_column


def _with_plain_names(frame: pd.DataFrame, source: str) -> pd.DataFrame:
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


def _names_ids(index: pd.Index, name: str | None) -> bool:
    """Whether an index that is not of time tells something: it has a name, and words or ids in it."""
    return name is not None and (
        is_text(index) or name.lower() in (*ID_NAMES, *TIMESTAMP_NAMES) or not index.is_unique
    )


def _without_levels(
    frame: pd.DataFrame, source: str, id_column: str | None, timestamp_column: str | None
) -> tuple[pd.DataFrame, str]:
    levels = [frame.index.get_level_values(number) for number in range(frame.index.nlevels)]
    names = [None if level.name is None else str(level.name) for level in levels]
    times = [
        number
        for number, level in enumerate(levels)
        if (is_time(level) if timestamp_column is None else names[number] == timestamp_column)
        or (is_text(level) and (names[number] or "").lower() in TIMESTAMP_NAMES)
    ]
    ids = [number for number in range(len(levels)) if number not in times]
    is_clear = len(times) == len(ids) == 1 and names[ids[0]] in (None, id_column or names[ids[0]])
    if not is_clear:
        raise InputError(
            f"the index of {source!r} has the levels {listed(names)}: make columns of them with reset_index(), and "
            "give id_column and timestamp_column"
        )
    time, identifier = times[0], ids[0]
    names[time] = names[time] or TIMESTAMP_NAMES[0]
    names[identifier] = names[identifier] or id_column or ID_NAMES[0]
    twice = [name for name in names if name in frame.columns]
    if twice or names[time] == names[identifier]:
        raise InputError(
            f"{source!r} has {twice[0] if twice else names[time]!r} both in its index and among its columns: "
            "give each its own name"
        )
    return frame.rename_axis(index=names).reset_index(), names[identifier]
