"""Files with bytes changed at random: what can be read is read, all else is an `InputError`, never another error."""

import logging
from contextlib import suppress
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.test_tables import HOURS, LONG, LONG_STUDENT, WIDE, WIDE_STUDENT
from timedistill_hf import backtest, forecast_fleet
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_series
from timedistill_hf.tables.files import read_file


NOTES = {"note": "a", "when": HOURS.date[:200], "flag": True, "count": pd.array([1, None] * 100, dtype="Int64")}
TABLES = {
    "naive": (WIDE, None),
    "zone": (WIDE.assign(ds=WIDE["ds"].dt.tz_localize("Europe/Berlin")), None),
    "text": (WIDE.astype({"ds": "str"}), None),
    "dates": (WIDE.assign(ds=pd.date_range("2024-01-01", periods=200).date), None),
    "mixed": (WIDE.assign(**NOTES), ["a", "b"]),
    "long": (LONG.assign(id=LONG["id"].astype("category")), None),
    "index": (LONG.set_index(["id", "ds"]), None),
}
TEXTS = {
    "commas": WIDE.round({"a": 3}).to_csv(index=False),
    "semicolons": WIDE.to_csv(index=False, sep=";", decimal=","),
    "long": LONG.round({"y": 2}).to_csv(index=False),
    "zone": WIDE.assign(ds=WIDE["ds"].dt.tz_localize("UTC")).to_csv(index=False, sep="\t"),
}


SIGNS = b",;\t\n\r\"'.-+eE0189 /:ZnaNif#_\0\xc3\xff"


def changed(content: bytes, rng: np.random.Generator, signs: bytes = bytes(range(256))) -> bytes:
    """Some bytes overwritten or bits flipped, near the end, where schemas are, in half of the cases; seldom a part cut
    out or doubled, which no Parquet file survives.
    """
    cells = bytearray(content)
    within = min(len(cells), 1500 if rng.random() < 0.5 else len(cells))
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        at = len(cells) - 1 - int(rng.integers(within))
        cells[at] = signs[rng.integers(len(signs))] if rng.random() < 0.7 else cells[at] ^ 1 << int(rng.integers(8))
    if rng.random() < 0.1:
        at, length = int(rng.integers(len(cells))), int(rng.integers(1, 30))
        cells[at : at + (0 if rng.random() < 0.5 else length)] = cells[at : at + length] * int(rng.integers(2))
    return bytes(cells)


def outcome(path, target_columns) -> int:
    """How many of the ways to use a table read it."""
    signs = {"target_columns": target_columns}

    def forecast():
        frame = read_file(path, LONG_STUDENT.processor.id_column)
        return LONG_STUDENT.predict(frame)

    ways = (
        lambda: load_series(path, **signs),
        lambda: load_series(path, id_column="id", duplicates="mean", **signs),
        lambda: WIDE_STUDENT.predict(read_file(path)),
        lambda: WIDE_STUDENT.predict_df(read_file(path), duplicates="last", **signs),
        forecast,
        lambda: backtest(LONG_STUDENT, read_file(path, "id"), num_windows=1),
    )
    read = 0
    for way in ways:
        with suppress(InputError):
            way()
            read += 1
    return read


def fuzz(contents: dict, suffix: str, count: int, seed: int, folder) -> None:
    rng = np.random.default_rng(seed)
    path, names, read = folder / f"x{suffix}", list(contents), 0
    for number in range(count):
        content, targets = contents[names[number % len(names)]]
        damaged = changed(content, rng, SIGNS if suffix == ".csv" else bytes(range(256)))
        path.write_bytes(damaged)
        try:
            read += outcome(path, targets) > 0
        except Exception as error:
            kept = folder / f"{seed}-{number}{suffix}"
            kept.write_bytes(damaged)
            raise AssertionError(f"{names[number % len(names)]} {kept}: {type(error).__name__}: {error}") from error
    assert 0 < read < count


def parquet(folder) -> dict:
    contents = {}
    for name, (frame, targets) in TABLES.items():
        for compression in (None, "snappy"):
            path = folder / "whole.parquet"
            frame[:60].to_parquet(path, compression=compression)
            contents[f"{name} {compression}"] = (path.read_bytes(), targets)
    return contents


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.ERROR)


@pytest.mark.filterwarnings("ignore")
def test_parquet(tmp_path):
    fuzz(parquet(tmp_path), ".parquet", 140, 0, tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_csv(tmp_path):
    fuzz({name: (text.encode(), None) for name, text in TEXTS.items()}, ".csv", 60, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(1, 9))
def test_many(seed, tmp_path):
    fuzz(parquet(tmp_path), ".parquet", 500, seed, tmp_path)
    fuzz({name: (text.encode(), None) for name, text in TEXTS.items()}, ".csv", 200, seed, tmp_path)


ODD = [
    pa.array([b"\xff\xfe", b"x"] * 100),
    pa.array([[1.0], [2.0, 3.0]] * 100),
    pa.array([{"a": 1}, {"a": 2}] * 100),
    pa.array([[("k", 1)], []] * 100, pa.map_(pa.string(), pa.int64())),
    pa.array([None] * 200, pa.null()),
    pa.array([True, None] * 100),
    pa.array([1, 2**63] * 100, pa.uint64()),
    pa.array([0, 1] * 100, pa.time64("us")),
    pa.array([0, 1] * 100, pa.duration("s")),
    pa.array([0, 1] * 100, pa.date64()),
    pa.array([-(2**31), 2**31 - 1] * 100, pa.int32()).cast(pa.date32()),
    *(pa.array([0, 2**62] * 100, pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")),
    *(pa.array([-(2**62), 3600] * 100, pa.timestamp("s", zone)) for zone in ("UTC", "Asia/Tokyo", "-23:59", "+25:00")),
    pa.array([3600] * 200, pa.timestamp("s", "Mars/Olympus")),
    pa.array([Decimal("1e20"), None] * 100, pa.decimal128(38, 2)),
    pa.array([Decimal("1e60"), Decimal("0.1")] * 100, pa.decimal256(76, 3)),
    pa.array(["x", "2024-01-01"] * 100).dictionary_encode(),
    pa.array([1.0, np.nan, np.inf, -np.inf] * 50),
    pa.array(["", "nan", "1e999", "٣"] * 50),
    pa.array(["2024-01-01T00:00:00+99:99", "9" * 5000] * 100),
    pa.array(["99999-01-01", ":00" * 20_000 + "x"] * 100),
    pa.array(np.arange(200, dtype=np.float16)),
    pa.array(["x"] * 200, pa.string_view()),
    pa.UnionArray.from_sparse(pa.array([0] * 200, pa.int8()), [pa.array(range(200))]),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("column", ["ds", "id", "y", "note"])
@pytest.mark.parametrize("cells", ODD, ids=lambda cells: str(cells.type))
def test_columns_of_any_type(cells, column, tmp_path):
    """As time, id, value, and as a column that nobody asks for."""
    table = pa.Table.from_pandas(LONG[:200], preserve_index=False).append_column("note", pa.array(range(200)))
    table = table.set_column(table.column_names.index(column), column, cells)
    path = tmp_path / "x.parquet"
    try:
        pq.write_table(table, path)
    except pa.ArrowException:  # a type that Parquet does not have
        path.unlink(missing_ok=True)
    columns = {"id_column": "id", "timestamp_column": "ds", "target_columns": ["y"]}
    read = lambda: read_file(path, "id")  # noqa: E731
    ways = [
        lambda table: load_series(table, **columns),
        lambda table: LONG_STUDENT.predict(table),
        lambda table: LONG_STUDENT.predict_df(table, **columns, duplicates="last"),
        lambda table: backtest(LONG_STUDENT, table, num_windows=1, **columns),
        lambda table: load_series(table, timestamp_column="ds"),
        lambda table: load_series(table, id_column="id"),
    ]
    for way in ways:
        for source in (lambda: table, read) if path.exists() else (lambda: table,):
            with suppress(InputError):
                way(source())
    if path.exists():
        with suppress(InputError):
            forecast_fleet(LONG_STUDENT, path, tmp_path / "out.parquet", overwrite=True, duplicates="mean", **columns)
