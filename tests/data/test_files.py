"""What is read of a local file is what the file holds: beside pandas, whatever it is called and packed as."""

import bz2
import gzip
import lzma
import os
import zipfile
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest

from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.table_files import table_kind, table_stem
from timedistill_hf.data import load_series
from timedistill_hf.tables.files import read_file


FRAME = pd.DataFrame(
    {
        "ds": pd.date_range("2024-01-01", periods=60, freq="h"),
        "a": np.linspace(-1e3, 1e7, 60),
        "b": np.random.default_rng(0).normal(size=60),
    }
)
PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
NAMES = [
    "t[1]", "t[!1]", "a*b", "what?", "{x,y}", "**", "~home", "100%", "file:", "a b", "ü", "[", "x::y", "k=v", "$HOME",
]  # fmt: skip


def write(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_parquet(path) if path.suffix == ".parquet" else path.write_text(frame.to_csv(index=False))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_literal(name, suffix, tmp_path):
    """Also where a file or folder beside it is what the name would mean as a pattern."""
    folder = tmp_path / name
    folder.mkdir()
    for decoy in ("t1", "t2", "ab", "axb", "whatx", "x", "y", "home", "100"):
        (tmp_path / decoy).mkdir(exist_ok=True)
        for place in (
            tmp_path / decoy / f"{name}{suffix}",
            tmp_path / f"{decoy}{suffix}",
            folder / f"{decoy}{suffix}",
        ):
            write(FRAME.assign(a=-77.0), place)
    for path in (write(FRAME, tmp_path / f"{name}{suffix}"), write(FRAME, folder / f"{name}{suffix}")):
        pd.testing.assert_frame_equal(read_file(path).astype({"ds": "datetime64[us]"}), FRAME)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_content_decides_not_time_or_size(suffix, tmp_path):
    path = write(FRAME, tmp_path / f"x{suffix}")
    before = path.stat()
    first = read_file(path)
    write(FRAME[:40].assign(a=2.5), path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = read_file(path)
    write(FRAME.assign(a=FRAME["a"][::-1].to_numpy()), path)  # of the same size, too
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert first["a"].tolist() == pytest.approx(FRAME["a"].tolist(), rel=1e-15)
    assert second["a"].tolist() == [2.5] * 40
    assert read_file(path)["a"].tolist() == pytest.approx(FRAME["a"].tolist()[::-1], rel=1e-15)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_nothing_is_cached(suffix, tmp_path, monkeypatch):
    """Neither is a cache needed that can be written."""
    before = set(Path(os.environ["HF_HOME"]).rglob("*"))
    path = write(FRAME, tmp_path / f"x{suffix}")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", Path("/proc/none"))
    assert load_series(path).num_rows == 60
    assert set(Path(os.environ["HF_HOME"]).rglob("*")) == before
    assert os.listdir(tmp_path) == [f"x{suffix}"]


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "X.CSV"])
@pytest.mark.parametrize("packed", ["", ".gz", ".bz2", ".xz", ".zip", ".GZ"])
def test_packed_text(name, packed, tmp_path):
    text = FRAME.to_csv(index=False, sep="\t" if "tsv" in name else ",")
    path = tmp_path / (name + packed)
    if packed == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inside.txt", text)
    else:
        path.write_bytes(PACK.get(packed.lower(), bytes)(text.encode()))
    series = load_series(path)
    assert series.name == name[0]
    np.testing.assert_allclose(series.values, FRAME[["a", "b"]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv.gz", gzip.compress(FRAME.to_csv(index=False).encode())[:200]),
        ("x.csv.gz", FRAME.to_csv().encode()),
        ("x.csv.bz2", b"BZh91AY&SY" + bytes(100)),
        ("x.csv.xz", lzma.compress(FRAME.to_csv().encode())[:-20]),
        ("x.csv.zip", b"PK\3\4 and nothing more"),
        ("x.csv.gz", gzip.compress(bytes(range(256)))),
        ("x.csv.gz", gzip.compress(b"")),
    ],
    ids=["cut", "not packed", "zeros", "cut short", "no archive", "no text", "empty"],
)
def test_packed_badly(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        load_series(tmp_path / name)


def test_an_archive_of_two_tables(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.csv.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
    with pytest.raises(InputError, match="holds 2 files: pack one table alone"):
        load_series(tmp_path / "x.csv.zip")


@pytest.mark.parametrize(
    ("name", "kind", "stem"),
    [
        ("a.csv", "csv", "a"), ("a.b.CSV", "csv", "a.b"), ("a.tsv", "csv", "a"), ("a.csv.gz", "csv", "a"),
        ("a.parquet", "parquet", "a"), ("a.parquet.gz", None, "a"), ("a.gz", None, "a"), ("a.txt", None, "a"),
        ("a", None, "a"), (".csv", None, ".csv"), ("d.csv/a", None, "a"),
    ],
)  # fmt: skip
def test_which_files_hold_tables(name, kind, stem):
    assert table_kind(name) == kind
    assert table_stem(name) == stem


def test_an_index_that_pandas_saved_is_one_again(tmp_path):
    """Of a long table too: ids and time."""
    long = pd.concat([FRAME[["ds", "a"]].assign(id=name) for name in ("x", "y")]).set_index(["id", "ds"])
    long.to_parquet(tmp_path / "long.parquet")
    series = load_series(tmp_path / "long.parquet")
    assert (series.columns, series.id_column, series.num_rows) == (("x", "y"), "id", 60)


@pytest.mark.parametrize("header", ["1" * 120_000 + "x", "-" * 120_000, '"' * 120_001, "1e" * 60_000, "1." * 60_000])
def test_a_long_header_is_read_at_once(header, tmp_path):
    """A quadratic pattern would take an hour here."""
    (tmp_path / "x.csv").write_text(f"{header},b\n1,2\n3,4\n")
    with pytest.raises(InputError, match=r"x\.csv") as caught:
        load_series(tmp_path / "x.csv", target_columns=["c" * 120_000])
    assert len(str(caught.value)) < 2000


def test_many_columns_and_names_of_columns_twice(tmp_path):
    (tmp_path / "x.csv").write_text(",".join(map(str, range(100_000))) + ",7\n" + "1," * 100_000 + "1\n")
    with pytest.raises(InputError, match="two columns called '7'"):
        load_series(tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 300 + ".csv", "a\0b.csv", "/" * 5000 + "x.parquet", "\udcff.csv"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(InputError):
        load_series(name)
