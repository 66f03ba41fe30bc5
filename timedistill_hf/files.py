"""Writing results: to a temporary name first, then moved into place."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_json(path: str | Path, content: object) -> None:
    """Write JSON that is either whole or not there. NaN becomes null, so that every JSON reader accepts it."""
    path = Path(path)
    text = json.dumps(_finite(content), indent=2, allow_nan=False)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
    ) as file:
        file.write(text + "\n")
    os.replace(file.name, path)


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


@contextmanager
def staged_folder(folder: str | Path, last: str) -> Iterator[Path]:
    """A temporary folder whose files are moved into `folder` on success, the file named `last` after all others.

    Whoever finds `last` in `folder` knows that everything else is there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(dir=folder, prefix=".stage-"))
    try:
        yield stage
        for path in sorted(stage.iterdir(), key=lambda path: path.name == last):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
