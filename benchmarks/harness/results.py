"""Finished cells: their results with what is needed to run them again, one JSON file each."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.files import write_json
from timedistill_hf._utils.run_folder import RESULTS
from timedistill_hf.evaluation.results import Results

from .cells import Cell, Places, shown
from .journal import Journal


def collect(cell: Cell, places: Places, threads: int) -> float:
    """Write the results of a finished run to those of the matrix, and remove its checkpoints.

    Returns:
        the seconds that it took.
    """
    folder = places.cell(cell)
    journal = Journal(cell, places)
    content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    seconds = journal.seconds()
    about = {
        "cell": cell.identity() | {"name": cell.name, "block": cell.block, "variant": cell.variant, "base": cell.base},
        "command": shown(cell, places),
        "teacher_commands": {teacher.name: shown(teacher, places) for teacher in cell.teachers},
        "seconds": seconds,
        "threads": threads,
        "git_commit": journal.commit(),
    }
    places.results.mkdir(parents=True, exist_ok=True)
    write_json(places.result(cell), about | content)
    remove_checkpoints(folder)
    return seconds


def remove_checkpoints(folder: Path) -> None:
    """Free the room that a finished run's checkpoints take, which is many times that of its models."""
    for checkpoint in list(folder.rglob("checkpoint-*")):
        shutil.rmtree(checkpoint, ignore_errors=True)


def check_same(cell: Cell, places: Places) -> None:
    """Raise an [`InputError`] where the finished cell of that name was another one."""
    path = places.result(cell)
    before = Result.read(path).cell
    now = json.loads(json.dumps(cell.identity()))
    for name in now:
        if before.get(name) != now[name]:
            raise InputError(
                f"{str(path)!r} holds results of {name}={before.get(name)}, the matrix says {now[name]}: delete it to "
                "run the cell anew, or name another --results_dir"
            )


@dataclass(frozen=True)
class Result(Results):
    """One finished cell: the results of its run, and under `other` what it was and how it was run."""

    @classmethod
    def read(cls, path: Path) -> "Result":
        """An [`InputError`] names a file that this harness did not write."""
        try:
            result = cls.from_json(path)
            complete = "student" in result.models and result.key and result.name and result.size
        except (InputError, KeyError, TypeError, ValueError):
            complete = False
        if not complete:
            raise InputError(
                f"{str(path)!r} holds no results of benchmarks/reproduce.py: move it elsewhere, or delete it"
            )
        return result

    @property
    def cell(self) -> dict:
        return self.other["cell"]

    @property
    def name(self) -> str:
        return self.cell["name"]

    @property
    def dataset(self) -> str:
        return self.cell["dataset"]

    @property
    def prediction_length(self) -> int:
        return self.cell["prediction_length"]

    @property
    def variant(self) -> str:
        return self.cell["variant"]

    @property
    def base(self) -> str | None:
        return self.cell["base"]

    @property
    def families(self) -> str:
        return "+".join(teacher["family"] for teacher in self.cell["teachers"])

    @property
    def seed(self) -> int:
        return self.cell["seed"]

    @property
    def size(self) -> tuple[int, int]:
        """Training rows and channels."""
        first, last = self.data.rows["train"]
        return last - first, len(self.data.columns)

    @property
    def key(self) -> tuple[str, int, str, str]:
        """All but the seed."""
        return (self.dataset, self.prediction_length, self.variant, self.families)

    def mse(self, role: str) -> float:
        return self.models[role].mse


def load_results(folder: Path) -> list[Result]:
    """The finished cells of a matrix, by name; an [`InputError`] where there are none."""
    paths = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    if not paths:
        raise InputError(f"{str(folder)!r} holds no results: run the matrix first, without --report")
    return [Result.read(path) for path in paths]
