"""Tables in local files: what is read is what the file holds now; paths are literal, nothing is kept in a cache."""

import re
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .._utils.errors import InputError
from .._utils.table_files import READABLE, table_kind
from .csv_files import read_csv
from .number_signs import check_signs, read_text_numbers


def read_file(
    path: str | Path, id_column: str | None = None, *, decimal: str | None = None, thousands: str | None = None
) -> pd.DataFrame:
    """A table of a file as it is; ids keep what a number would lose, such as the zeros of 007.

    Args:
        path: `.csv`, `.tsv`, also packed, or `.parquet`.
        decimal, thousands: how numbers are written as text, where that cannot be told from them (see
            [`find_signs`]): `decimal=","`, `thousands="."`.

    Raises:
        InputError: the file cannot be read as a table.
    """
    path = Path(path)
    check_signs(decimal, thousands)
    kind = table_kind(path)
    if kind is None:
        raise InputError(f"{str(path)!r} is no {READABLE}: convert it to one of them")
    if kind == "parquet":
        frame = _read_parquet(path)
        return read_text_numbers(frame, str(path), id_column, decimal, thousands) if decimal or thousands else frame
    try:
        frame = read_csv(path, id_column, decimal=decimal, thousands=thousands)
    except (OSError, EOFError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {reason(error)}; write it anew") from error
    if id_column in frame.columns:
        frame[id_column] = _numbers_where_alike(frame[id_column])
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        with pa.OSFile(str(path)) as file, pq.ParquetFile(file) as parquet:
            return from_arrow(parquet.read(), is_own=True)
    except Exception as error:  # of a damaged file the library raises errors of many kinds
        raise InputError(
            f"{str(path)!r} cannot be read as parquet: {reason(error)}; write it anew, with DataFrame.to_parquet for "
            "example"
        ) from error


def from_arrow(table: pa.Table, is_own: bool = False) -> pd.DataFrame:
    """An Arrow table as a DataFrame; an index that pandas has saved is one again.

    Args:
        is_own: whether nobody else needs the table, so that each column's memory can be given back once it is read.
    """
    table.validate(full=True)
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            _check_zone(name, kind)
    return table.to_pandas(split_blocks=is_own, self_destruct=is_own)


def _check_zone(name: str, kind: pa.DataType) -> None:
    try:
        pa.array([], kind).to_pandas()
    except Exception as error:  # of what pandas, zoneinfo or Arrow say of an unknown zone nothing names it
        raise ValueError(f"column {name!r} has the time zone {kind.tz!r}, which is none") from error


def reason(error: Exception) -> str:
    """What a library says of a table that it cannot read, on one line."""
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _numbers_where_alike(ids: pd.Series) -> pd.Series:
    """Ids read as text: integers where all are written as such, else the text."""
    ids = ids.where(ids != "")
    is_integer = all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", str(text)) for text in ids.unique())
    return ids.astype("int64") if is_integer else ids
