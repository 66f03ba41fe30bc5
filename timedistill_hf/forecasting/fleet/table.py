"""A long table in Parquet files, read in batches of rows; only the row groups are read that hold rows asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..._utils.errors import InputError
from ...tables.files import from_arrow, reason


_BATCH_ROWS = 65_536
_BUFFER_BYTES = 2**20  # of a column chunk, so that a row group as large as the file is streamed too


@dataclass(frozen=True)
class FleetTable:
    """The rows of one Parquet file, or of the files of a folder one after the other in the order of their names.

    Args:
        paths: the files.
        schema: of the first file; all have the same columns and types.
        file, group: `[R]`, where each row group is.
        first: `[R + 1]`, the rows of row group r are `first[r]` to `first[r + 1]` of the table.
    """

    paths: tuple[Path, ...]
    schema: pa.Schema
    file: np.ndarray
    group: np.ndarray
    first: np.ndarray

    @classmethod
    def open(cls, path: str | Path) -> "FleetTable":
        """Look into one file or a folder of files.

        Raises:
            InputError: there is none, one cannot be read as Parquet, they differ in their columns, or have no row.
        """
        paths = _find_files(Path(path))
        schema, file, group, rows = None, [], [], []
        for index, each in enumerate(paths):
            with _open(each) as opened:
                if schema is None:
                    schema = opened.schema_arrow
                elif not opened.schema_arrow.equals(schema):
                    raise InputError(
                        f"{str(each)!r} has columns or types that {str(paths[0])!r} has not: write all files alike, "
                        "or give one file at a time"
                    )
                for number in range(opened.num_row_groups):
                    file.append(index)
                    group.append(number)
                    rows.append(opened.metadata.row_group(number).num_rows)
        if not sum(rows):
            raise InputError(f"{str(path)!r} has no rows: expected one a time step of a series")
        first = np.concatenate([[0], np.cumsum(rows)])
        return cls(tuple(paths), schema, np.array(file), np.array(group), first)

    @property
    def num_rows(self) -> int:
        return int(self.first[-1])

    def to_pandas(self, part: pa.Table) -> pd.DataFrame:
        """A part of the table; an [`InputError`] where pandas cannot hold it."""
        try:
            return from_arrow(part)
        except Exception as error:  # of a damaged file the library raises errors of many kinds
            raise _unreadable(self.paths[0], error) from error

    def batches(
        self, columns: list[str], starts: np.ndarray, ends: np.ndarray
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches that cover the ranges of rows `starts` to `ends`, and the row that each begins with.

        Args:
            columns: names of those to read.
            starts, ends: int64 `[N]`, half-open, ascending, not overlapping. Row groups without any of their rows are
                skipped; others come whole.
        """
        index, opened = None, None
        try:
            for row_group in self._needed(starts, ends):
                if self.file[row_group] != index:
                    if opened is not None:
                        opened.close()
                    index = self.file[row_group]
                    opened = _open(self.paths[index])
                row = int(self.first[row_group])
                for batch in _batches(opened, self.paths[index], int(self.group[row_group]), columns):
                    yield row, batch
                    row += batch.num_rows
        finally:
            if opened is not None:
                opened.close()

    def _needed(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The row groups that hold a row of any range."""
        following = np.searchsorted(ends, self.first[:-1], side="right")  # the first range that ends after its begin
        begins = np.append(starts, self.num_rows)[following]
        return np.flatnonzero(begins < self.first[1:])


def _find_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{str(path)!r} is no file or folder: give a .parquet file, or a folder of them")
    paths = sorted(each for each in path.glob("*.parquet") if each.is_file())
    nested = next((each for each in path.glob("*/**/*.parquet")), None)
    if nested is not None:
        raise InputError(f"{str(nested)!r} is in a folder within {str(path)!r}: give a folder of files only")
    if not paths:
        raise InputError(f"{str(path)!r} holds no .parquet file: give the folder that does")
    return paths


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except Exception as error:  # of a damaged file the library raises errors of many kinds
        raise _unreadable(path, error) from error


def _batches(file: pq.ParquetFile, path: Path, group: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    try:
        yield from file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns)
    except Exception as error:  # of a damaged file the library raises errors of many kinds
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{str(path)!r} cannot be read as Parquet: {reason(error)}")
