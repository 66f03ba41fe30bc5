"""Which files hold tables, by their names alone; nothing heavy is imported here."""

from pathlib import Path


PACKED = (".gz", ".bz2", ".xz", ".zip")
_KINDS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
READABLE = ".csv or .parquet file (or a .tsv, or a packed .csv.gz, .csv.zip, .csv.bz2, .csv.xz)"


def table_kind(path: str | Path) -> str | None:
    """`"csv"` or `"parquet"`, `None` where a name is none of a table; text may be packed, Parquet is packed itself."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    if suffixes and suffixes[-1] in PACKED:
        kind = _KINDS.get(suffixes[0]) if len(suffixes) == 2 else None
        return kind if kind == "csv" else None
    return _KINDS.get(suffixes[-1]) if suffixes else None


def table_stem(path: str | Path) -> str:
    """A file's name without its endings: `meters` of `meters.csv.gz`."""
    path = Path(path)
    return Path(path.stem).stem if path.suffix.lower() in PACKED else path.stem
