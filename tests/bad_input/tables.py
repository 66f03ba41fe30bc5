"""One good table, and how a case spoils it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from timedistill_hf.data import synthetic_series


_SERIES = synthetic_series(400, 3)
BASE = pd.DataFrame(_SERIES.values.numpy(), columns=_SERIES.columns)
BASE.insert(0, "date", _SERIES.timestamps)
TEXT = BASE.to_csv(index=False)
LINES = TEXT.splitlines()
LONG = BASE.melt("date", var_name="store", value_name="sales")


def with_cell(value: object, row: int = 100, column: str = "load_0") -> pd.DataFrame:
    """The good table with one cell changed."""
    frame = BASE.astype({column: object})
    frame.loc[row, column] = value
    return frame


def with_dates(change: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    """The good table with dates as text, some of them changed."""
    return BASE.assign(date=change(BASE["date"].dt.strftime("%Y-%m-%d %H:%M")))


def from_row(row: int, dates: pd.Series, other: pd.Series) -> pd.Series:
    """`dates`, from some row on `other`."""
    return dates.where(dates.index < row, other)


def parquet(frame: pd.DataFrame, folder: Path) -> bytes:
    path = folder / "whole.parquet"
    frame.to_parquet(path)
    content = path.read_bytes()
    path.unlink()
    return content


def write(content: str | bytes | pd.DataFrame, path: Path) -> Path:
    """Text, bytes or a table as that file."""
    if isinstance(content, pd.DataFrame):
        content.to_csv(path, index=False) if path.suffix == ".csv" else content.to_parquet(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
