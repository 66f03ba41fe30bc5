"""What is to be done and how long it will take, said before anything is run."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tabulate import tabulate

from timedistill_hf._utils.errors import InputError, did_you_mean

from .cells import Cell, Places, TeacherCell, shown
from .estimates import Estimator, in_all, load_sizes
from .journal import Journal
from .results import Result, check_same
from .running import duration, is_done


@dataclass(frozen=True)
class Plan:
    """The chosen cells and their teachers in the order in which they are run, and what is known of their time."""

    cells: tuple[Cell, ...]
    steps: tuple[Cell | TeacherCell, ...]
    places: Places
    estimator: Estimator

    @property
    def to_do(self) -> list[Cell | TeacherCell]:
        return [step for step in self.steps if not is_done(step, self.places)]

    def table(self, lanes: int) -> str:
        """Every step with its state and its seconds, and below it the sum."""
        to_do = self.to_do
        rows = []
        for step in self.steps:
            seconds = self.estimator.seconds(step) if step in to_do else _seconds(step, self.places)
            state = "done" if step not in to_do else "begun" if self.places.journal(step).exists() else "to do"
            rows.append([step.key, state, "" if seconds is None else f"{seconds:,.0f}"])
        headers = ["step", "state", "seconds (of what is not done: estimated)"]
        table = tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", "left", "right"))
        cells = [step for step in to_do if isinstance(step, Cell)]
        estimate = in_all([self.estimator.seconds(step) for step in to_do], lanes)
        return (
            f"{table}\n\n{len(cells)} cells and {len(to_do) - len(cells)} teachers to do, "
            f"{len(self.cells) - len(cells)} cells done; estimated {duration(estimate)} on {lanes} "
            f"{'lane' if lanes == 1 else 'lanes'}"
        )

    def commands(self) -> str:
        """The command of every step, a comment with its name above it."""
        return "\n".join(f"# {step.key}\n{shlex.join(shown(step, self.places))}" for step in self.steps)


def choose(cells: Sequence[Cell], only: str | None) -> tuple[Cell, ...]:
    """The cells whose name matches; an [`InputError`] where there are none."""
    chosen = tuple(cell for cell in cells if only is None or fnmatchcase(cell.name, only))
    if not chosen:
        names = [cell.name for cell in cells]
        nearest = did_you_mean(only, names, f"; the first is {names[0]!r}")
        raise InputError(f"--only {only!r} matches no cell of the matrix{nearest}")
    return chosen


def make_plan(chosen: Sequence[Cell], places: Places) -> Plan:
    """Look at what is done and how long it took.

    Raises:
        InputError: something was begun or finished under that name as something else, or a data set cannot be had.
    """
    steps: dict[str, Cell | TeacherCell] = {}
    for cell in chosen:
        steps |= {teacher.key: teacher for teacher in cell.teachers if teacher.key not in steps} | {cell.key: cell}
    for step in steps.values():
        Journal(step, places).check()
        if isinstance(step, Cell) and is_done(step, places):
            check_same(step, places)
    estimator = Estimator(load_sizes([cell for cell in chosen if not is_done(cell, places)], places.data_dir))
    for step in steps.values():
        if is_done(step, places):
            if isinstance(step, Cell):
                estimator.sizes.setdefault(step.dataset, Result.read(places.result(step)).size)
            seconds = _seconds(step, places)
            if seconds is not None:
                estimator.measured(step, seconds)
    return Plan(tuple(chosen), tuple(steps.values()), places, estimator)


def _seconds(step: Cell | TeacherCell, places: Places) -> float | None:
    """What a finished one took, as far as that is known."""
    if isinstance(step, Cell):
        return Result.read(places.result(step)).other["seconds"]
    return Journal(step, places).seconds()
