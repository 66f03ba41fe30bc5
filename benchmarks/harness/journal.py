"""What the harness remembers of a step between its sessions, and the lock that only one session holds."""

import fcntl
import json
import os
import subprocess
import time
from pathlib import Path

from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.files import write_json

from .cells import Cell, Places, TeacherCell


class StepLock:
    """Held while a step is at work, in this session or another one.

    The running script inherits it: where the harness alone is killed, the step stays locked until its script ends.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def acquire(self) -> bool:
        """Whether it could be had; closed where not."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        return True

    def release(self) -> None:
        os.close(self.file)


class Journal:
    """The attempts at a step: what it was, when each began and ended, and of which commit.

    Args:
        step: a cell or a teacher.
        places: where its journal, its log and its folder are.
    """

    def __init__(self, step: Cell | TeacherCell, places: Places):
        self.step = step
        self.path = places.journal(step)
        self.folder = places.teacher(step) if isinstance(step, TeacherCell) else places.cell(step)
        self.log = places.log(step)

    def check(self) -> None:
        """Raise an [`InputError`] where the step was begun as something else."""
        content = self._read()
        if content is None:
            return
        for name, now in self.step.identity().items():
            before = content["identity"].get(name)
            if before != json.loads(json.dumps(now)):
                raise InputError(
                    f"{self.step.name!r} was begun with {name}={before}, the matrix says {now}: delete "
                    f"{str(self.folder)!r} and {str(self.path)!r} to begin anew, or name another --runs_dir"
                )

    def begin(self, commit: str | None) -> None:
        """Note that the step is started, or gone on with."""
        content = self._read() or {"identity": self.step.identity(), "attempts": []}
        self._end_lost(content)
        content["attempts"].append({"start": time.time(), "end": None, "commit": commit})
        self._write(content)

    def end(self) -> None:
        """Note that it is no longer at work."""
        content = self._read()
        content["attempts"][-1]["end"] = time.time()
        self._write(content)

    def seconds(self) -> float | None:
        """What all attempts took together; of one whose end nobody saw, up to its last sign of life."""
        content = self._read()
        if content is None:
            return None
        self._end_lost(content)
        return sum(attempt["end"] - attempt["start"] for attempt in content["attempts"])

    def commit(self) -> str | None:
        """Of the last attempt."""
        content = self._read()
        return content["attempts"][-1]["commit"] if content else None

    def _end_lost(self, content: dict) -> None:
        for attempt in content["attempts"]:
            if attempt["end"] is None:
                signs = (path.stat().st_mtime for path in (self.log, self.folder) if path.exists())
                attempt["end"] = max(attempt["start"], *signs, attempt["start"])

    def _read(self) -> dict | None:
        if not self.path.exists():
            return None
        return json.loads(self.path.read_text(encoding="utf-8"))

    def _write(self, content: dict) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, content)


def code_commit(folder: Path) -> str | None:
    """The commit of the repository around `folder`, with `-dirty` where its code differs; `None` outside of one."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit, root = git("rev-parse", "HEAD"), git("rev-parse", "--show-toplevel")
    if commit is None or root is None:
        return None
    code = [str(Path(root) / name) for name in ("timedistill_hf", "scripts")]
    return f"{commit}-dirty" if git("status", "--porcelain", "--", *code) else commit
