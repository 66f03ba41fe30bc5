"""Writing results: to a temporary name first, then moved into place."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .disk import said_if_unwritable


if TYPE_CHECKING:
    import pandas as pd


_MAX_BYTES, _MAX_DEPTH = 32 * 2**20, 32  # of a JSON file that is read from elsewhere


def write_json(path: str | Path, content: object) -> None:
    """Write JSON that is either whole or not there. NaN becomes null, so that every JSON reader accepts it."""
    path = Path(path)
    text = json.dumps(_finite(content), indent=2, allow_nan=False)
    with staged_file(path) as stage:
        stage.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path, otherwise: object) -> Any:
    """The content of a JSON file, or `otherwise` where there is none."""
    path = Path(path)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else otherwise


def read_object(path: str | Path) -> dict:
    """The object in someone else's JSON file; a `ValueError` where it is none, or is larger or deeper than any."""
    path = Path(path)
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name} is of {path.stat().st_size:,} bytes, expected at most {_MAX_BYTES:,}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not a valid JSON file ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds a {type(content).__name__}, expected an object of fields")
    level = [content]
    for _ in range(_MAX_DEPTH):
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
        level = [item for item in level if isinstance(item, (dict, list))]
    if level:
        raise ValueError(f"{path.name} is nested deeper than {_MAX_DEPTH} levels")
    return content


@contextmanager
def staged_file(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path`; the file written there takes its place on success, and is gone otherwise.

    Raises:
        InputError: it cannot be written, see [`said_if_unwritable`].
    """
    path = Path(path)
    stage = path.with_name(f".{uuid.uuid4().hex}-{path.name}")
    with said_if_unwritable(path):
        try:
            yield stage
            os.replace(stage, path)
        finally:
            with suppress(OSError):
                stage.unlink(missing_ok=True)


class FrameWriter:
    """Writes a table part by part to a `.csv` or `.parquet` file, which is whole or not there.

    Use it as a context; parts are DataFrames of the same columns and types.
    """

    def __init__(self, path: str | Path):
        self._path = Path(path)

    def __enter__(self) -> "FrameWriter":
        self._staged = staged_file(self._path)
        self._stage = self._staged.__enter__()
        self._parquet: Any = None
        return self

    def write(self, frame: "pd.DataFrame") -> None:
        """Append `frame`, without its index."""
        if self._path.suffix.lower() == ".csv":
            frame.to_csv(self._stage, index=False, mode="a", header=not self._stage.exists())
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, preserve_index=False)
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._stage, table.schema)
        self._parquet.write_table(table)

    def __exit__(self, *failure) -> bool | None:
        try:
            if self._parquet is not None:
                self._parquet.close()
        except OSError as error:
            failure = failure if failure[0] is not None else (type(error), error, error.__traceback__)
        return self._staged.__exit__(*failure)


def _finite(content: object) -> object:
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    if isinstance(content, float) and content not in (float("inf"), float("-inf")) and content == content:
        return content
    if isinstance(content, float):
        return None
    return content


def move_into_place(stage: Path, folder: Path, last: str) -> None:
    """Move the files of the folder `stage` into `folder`, the one named `last` after all others, and remove `stage`.

    Whoever finds `last` in `folder` knows that everything else is there.
    """
    with said_if_unwritable(folder):
        for path in sorted(stage.iterdir(), key=lambda path: path.name == last):
            os.replace(path, folder / path.name)
        stage.rmdir()


@contextmanager
def staged_folder(stage: Path, folder: Path) -> Iterator[None]:
    """Remove `stage`, which is to be moved into `folder`, where it cannot be written, and say so on one line."""
    try:
        with said_if_unwritable(folder):
            yield
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders of a run that was killed while it wrote into `folder`."""
    for stage in folder.glob(".stage-*"):
        shutil.rmtree(stage, ignore_errors=True)
    for kind in (".*-*.json", ".*-*.png", ".*-*.md"):
        for path in folder.glob(kind):
            path.unlink(missing_ok=True)
