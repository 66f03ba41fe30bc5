"""What stands in the way of writing, on one line: a full disk, or no right to."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


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
