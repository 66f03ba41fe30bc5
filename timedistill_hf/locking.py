"""One run at a time: a lock on a file, which ends with the process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import InputError


@contextmanager
def alone(path: Path, folder: Path, flag: str) -> Iterator[None]:
    """Keep a second run out of `folder` while one is at work there.

    Args:
        path: the file that is locked; it stays.
        flag: that names another folder, such as `--output`.

    Raises:
        InputError: another run is at work.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"another run is at work in {str(folder)!r}: wait until it ends, or name another {flag}"
        ) from error
    try:
        yield
    finally:
        lock.release()
