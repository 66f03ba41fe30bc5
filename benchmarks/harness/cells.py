"""What a matrix is made of: runs of `scripts/distill.py`, and the teachers that they need, with their commands."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Where everything is.

    Args:
        scripts: folder of `distill.py` and `train_teacher.py`.
        runs: models, logs, locks, journals and stored signals.
        results: the JSON files of finished cells of one matrix.
        data_dir: folder with benchmark files.
    """

    scripts: Path
    runs: Path
    results: Path
    data_dir: str | None = None

    def teacher(self, teacher: "TeacherCell") -> Path:
        return self.runs / "teachers" / teacher.name

    def cell(self, cell: "Cell") -> Path:
        return self.runs / "cells" / cell.name

    def result(self, cell: "Cell") -> Path:
        return self.results / f"{cell.name}.json"

    def signal(self, cell: "Cell") -> Path:
        """One folder for all cells of a matrix that can share a stored signal; it is removed after the last."""
        return self.runs / "signal" / self.results.name / cell.signal_group

    def log(self, step: "TeacherCell | Cell") -> Path:
        return self.runs / "logs" / f"{step.key}.log"

    def lock(self, step: "TeacherCell | Cell") -> Path:
        return self.runs / "locks" / f"{step.key}.lock"

    def journal(self, step: "TeacherCell | Cell") -> Path:
        return self.runs / "journals" / f"{step.key}.json"


@dataclass(frozen=True)
class TeacherCell:
    """One run of `scripts/train_teacher.py`; all cells that name it share the trained teacher."""

    dataset: str
    prediction_length: int
    family: str
    seed: int
    flags: dict

    script = "train_teacher.py"

    @property
    def name(self) -> str:
        return f"{slug(self.dataset)}-{self.prediction_length}-{self.family}-seed{self.seed}"

    @property
    def key(self) -> str:
        return f"teacher-{self.name}"

    def identity(self) -> dict:
        """What its result depends on."""
        return {
            "dataset": self.dataset,
            "prediction_length": self.prediction_length,
            "family": self.family,
            "seed": self.seed,
            "flags": self.flags,
        }

    def arguments(self, places: Places) -> list[str]:
        """The arguments of the script."""
        own = {"teacher": self.family, "output_dir": str(places.teacher(self))}
        return as_arguments(_common(self, places) | own | self.flags)


@dataclass(frozen=True)
class Cell:
    """One run of `scripts/distill.py`.

    Args:
        block: the matrix's block that it comes from.
        variant: name of the variant, or the recipe's where it is the base of the block's variants.
        base: name of the cell that a variant is compared with; `None` for a base.
        teachers: as `--teacher` is to get them, in order.
        flags: of `distill.py`, without those that say which data, teachers and seed.
        signal_limit_gb: for the flag of that name; its default where `None`.
    """

    block: str
    dataset: str
    prediction_length: int
    variant: str
    base: str | None
    teachers: tuple[TeacherCell, ...]
    seed: int
    flags: dict
    signal_limit_gb: float | None = None

    script = "distill.py"

    @property
    def name(self) -> str:
        return cell_name(self.dataset, self.prediction_length, self.variant, self.families, self.seed)

    @property
    def key(self) -> str:
        return self.name

    @property
    def families(self) -> str:
        return "+".join(teacher.family for teacher in self.teachers)

    @property
    def signal_group(self) -> str:
        """Names the cells that may share a stored signal: same windows, same seed of the teachers."""
        return f"{slug(self.dataset)}-{self.prediction_length}-seed{self.teachers[0].seed}"

    def identity(self) -> dict:
        """What its result depends on."""
        return {
            "dataset": self.dataset,
            "prediction_length": self.prediction_length,
            "teachers": [teacher.identity() for teacher in self.teachers],
            "seed": self.seed,
            "flags": self.flags,
        }

    def arguments(self, places: Places) -> list[str]:
        """The arguments of the script."""
        own = {
            "teacher": [str(places.teacher(teacher)) for teacher in self.teachers],
            "signal_dir": str(places.signal(self)),
            "signal_limit_gb": self.signal_limit_gb,
            "output_dir": str(places.cell(self)),
        }
        return as_arguments(_common(self, places) | own | self.flags)


def cell_name(dataset: str, prediction_length: int, variant: str, families: str, seed: int) -> str:
    """`{dataset}-{S}-{variant or recipe}-{teachers joined by +}-seed{n}`."""
    return f"{slug(dataset)}-{prediction_length}-{variant}-{families}-seed{seed}"


def slug(dataset: str) -> str:
    """A data set's name that can be part of a file's: of a file its stem, of a Hub id `user_name`."""
    is_file = Path(dataset).suffix.lower() in (".csv", ".parquet")
    return Path(dataset).stem if is_file else dataset.replace("/", "_")


def as_arguments(flags: dict) -> list[str]:
    """Flags and their values as a command line; those set to `None` are left out."""
    arguments = []
    for name, value in flags.items():
        if value is not None:
            values = value if isinstance(value, list) else [value]
            arguments += [f"--{name}", *map(_as_text, values)]
    return arguments


def shown(step: TeacherCell | Cell, places: Places) -> list[str]:
    """The command, as one gives it in the repository's root."""
    return ["python", f"scripts/{step.script}", *step.arguments(places)]


def _common(step: TeacherCell | Cell, places: Places) -> dict:
    return {
        "dataset": step.dataset,
        "data_dir": places.data_dir,
        "prediction_length": step.prediction_length,
        "seed": step.seed,
        "disable_tqdm": True,
    }


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict) else str(value)
