"""Finished cells: their results with what is needed to run them again, one JSON file each."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.files import write_json
from timedistill_hf._utils.run_folder import RESULTS

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
    before = Result.read(path).content["cell"]
    now = json.loads(json.dumps(cell.identity()))
    for name in now:
        if before.get(name) != now[name]:
            raise InputError(
                f"{str(path)!r} holds results of {name}={before.get(name)}, the matrix says {now[name]}: delete it to "
                "run the cell anew, or name another --results_dir"
            )


@dataclass(frozen=True)
class Result:
    """One finished cell, as its JSON file has it."""

    content: dict

    @classmethod
    def read(cls, path: Path) -> "Result":
        """An [`InputError`] names a file that this harness did not write."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            result = cls(content)
            complete = all(isinstance(score["mse"], float) for score in result.models.values())
            complete = complete and "student" in result.models and result.key and result.name and result.size
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            complete = False
        if not complete:
            raise InputError(
                f"{str(path)!r} holds no results of benchmarks/reproduce.py: move it elsewhere, or delete it"
            )
        return result

    @property
    def name(self) -> str:
        return self.content["cell"]["name"]

    @property
    def dataset(self) -> str:
        return self.content["cell"]["dataset"]

    @property
    def prediction_length(self) -> int:
        return self.content["cell"]["prediction_length"]

    @property
    def variant(self) -> str:
        return self.content["cell"]["variant"]

    @property
    def base(self) -> str | None:
        return self.content["cell"]["base"]

    @property
    def families(self) -> str:
        return "+".join(teacher["family"] for teacher in self.content["cell"]["teachers"])

    @property
    def seed(self) -> int:
        return self.content["cell"]["seed"]

    @property
    def note(self) -> str:
        """What is to be said wherever its figures are."""
        return self.content["data"]["note"]

    @property
    def size(self) -> tuple[int, int]:
        """Training rows and channels."""
        first, last = self.content["data"]["rows"]["train"]
        return last - first, len(self.content["data"]["columns"])

    @property
    def models(self) -> dict[str, dict]:
        return self.content["models"]

    @property
    def members(self) -> dict[str, dict]:
        return self.content.get("members") or {}

    @property
    def key(self) -> tuple[str, int, str, str]:
        """All but the seed."""
        return (self.dataset, self.prediction_length, self.variant, self.families)

    def mse(self, role: str) -> float:
        return self.models[role]["mse"]


def load_results(folder: Path) -> list[Result]:
    """The finished cells of a matrix, by name; an [`InputError`] where there are none."""
    paths = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    if not paths:
        raise InputError(f"{str(folder)!r} holds no results: run the matrix first, without --report")
    return [Result.read(path) for path in paths]
