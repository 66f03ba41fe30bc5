"""One run at a time: a lock on a file, which ends with the process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import InputError, first_line


def lock_of(path: Path) -> FileLock:
    """A lock on that file; an `OSError` where it is a link, which would be followed and its target be written to."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError("it is a link, or no file")
    return FileLock(path)


@contextmanager
def alone(path: Path, folder: Path, flag: str) -> Iterator[None]:
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
