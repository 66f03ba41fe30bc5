"""Files that are whole or not there, what stands in the way of writing them, and locks on folders."""

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from .errors import InputError, first_line


if TYPE_CHECKING:
    import pandas as pd


_MAX_BYTES, _MAX_DEPTH = 32 * 2**20, 32  # of a JSON file that is read from elsewhere

_FULL = "the disk is full: make room there, what was written before is kept; then give the same command again"
_REASONS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL.replace("the disk is full", "your share of the disk is used up"),
    errno.EFBIG: _FULL.replace("the disk is full", "the file would be larger than is allowed here"),
    errno.EROFS: "the disk may only be read; name another place",
    errno.EACCES: "it may not be written to; name another place, or change its rights",
    errno.EPERM: "it may not be written to; name another place, or change its rights",
    errno.EIO: "the disk answers with an error (EIO); look after it, or name another place",
}
# torch and numpy say no more than this
_CUT_OFF = re.compile(r"PytorchStreamWriter failed|unexpected pos \d+|\d+ requested and \d+ written")


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


def check_writable(folder: Path, flag: str) -> None:
    """Raise an [`InputError`] where that folder cannot be, or may not be written to; `flag` is what names another."""
    above = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        where = "is a file" if above == folder.absolute() else f"lies below the file {str(above)!r}"
        raise InputError(f"{str(folder)!r} {where}: name another {flag}")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{str(above)!r} may not be written to: name another {flag}, or change its rights")


@contextmanager
def said_if_unwritable(path: str | Path) -> Iterator[None]:
    """Say as an [`InputError`] that `path`, a file or a folder, cannot be written."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = why_unwritable(error, Path(path))
        if reason is None:
            raise
        raise InputError(f"{str(path)!r} cannot be written: {reason}") from error


def why_unwritable(error: BaseException | None, path: Path | None = None) -> str | None:
    """What an error of whoever wrote there means; `None` where it is none of writing."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _REASONS and not _is_of_another(error, path):
            return _REASONS[error.errno]
        if not isinstance(error, OSError) or error.errno is None:
            text = str(error)
            for number, reason in _REASONS.items():  # safetensors, which is Rust
                if f"(os error {number})" in text:
                    return reason
            if _CUT_OFF.search(text):
                return _FULL
        error = error.__cause__ or error.__context__
    return None


def _is_of_another(error: OSError, path: Path | None) -> bool:
    """Whether what may not be opened lies elsewhere: an input, say."""
    if path is None or error.filename is None or error.errno not in (errno.EACCES, errno.EPERM, errno.EIO):
        return False
    folder = path if path.is_dir() else path.parent
    return not Path(os.fsdecode(error.filename)).absolute().is_relative_to(folder.absolute())


def lock_of(path: Path) -> FileLock:
    """A lock on that file; an `OSError` where it is a link, which would be followed and its target be written to."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError("it is a link, or no file")
    return FileLock(path)


@contextmanager
def exclusive_lock(path: Path, folder: Path, flag: str) -> Iterator[None]:
    """Keep a second run out of `folder` while one is at work there.

    Args:
        path: the file that is locked; it stays.
        flag: that names another folder, such as "`output`".

    Raises:
        InputError: another run is at work.
    """
    try:
        lock = lock_of(path)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"another run is at work in {str(folder)!r}: wait until it ends, or name another {flag}"
        ) from error
    except (OSError, NotImplementedError) as error:
        raise InputError(
            f"{str(path)!r} cannot be locked ({first_line(error)}): remove it if no run is at work there, or name "
            f"another {flag}"
        ) from error
    try:
        yield
    finally:
        lock.release()
