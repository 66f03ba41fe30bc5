"""How long cells will take, before anything is run.

The cost of a cell is `training windows x channels x hidden x (context_length + prediction_length)`, which is what one
pass of the student multiplies; that of a teacher is the same without `hidden`. Seconds are the cost times a rate. The
rate is that of the finished cells of the same variant (those with the same teachers, where there are any), or of the
finished teachers of the same family; before there are any it is a first guess, from ETTh1 at 720 to 96 on two threads.
"""

import heapq
from collections.abc import Sequence

from ..cli.settings import DataSettings, StudentSettings
from .cells import Cell, TeacherCell


SECONDS_PER_COST = 6e-9  # student and controls: 140 s
TEACHER_SECONDS_PER_COST = {"itransformer": 1.7e-6, "patchtst": 6.5e-6, "modern_tcn": 3e-5, "informer": 2.7e-5}
OTHER_TEACHER = 1e-5


class Estimator:
    """Seconds by cell.

    Args:
        sizes: `(training rows, channels)` by data set.
    """

    def __init__(self, sizes: dict[str, tuple[int, int]]):
        self.sizes = sizes
        self._measured: dict[tuple, list[tuple[float, float]]] = {}

    def cost(self, step: Cell | TeacherCell) -> float:
        """Of the work of one epoch; `0` where the data set is not known."""
        rows, channels = self.sizes.get(step.dataset, (0, 0))
        context = int(step.flags.get("context_length") or DataSettings.context_length)
        steps = context + step.prediction_length
        is_teacher = isinstance(step, TeacherCell)
        hidden = 1 if is_teacher else int(step.flags.get("hidden_size") or StudentSettings.hidden_size)
        return max(rows - steps + 1, 0) * channels * hidden * steps

    def measured(self, step: Cell | TeacherCell, seconds: float) -> None:
        """Learn from a finished one, where its data set is known."""
        if self.cost(step) > 0:
            for key in _keys(step):
                self._measured.setdefault(key, []).append((self.cost(step), seconds))

    def seconds(self, step: Cell | TeacherCell) -> float:
        """What it will take on one lane."""
        for key in _keys(step):
            known = self._measured.get(key, [])
            if known:
                return self.cost(step) * sum(seconds for _, seconds in known) / sum(cost for cost, _ in known)
        guess = TEACHER_SECONDS_PER_COST.get(step.family, OTHER_TEACHER) if _is_teacher(step) else SECONDS_PER_COST
        return self.cost(step) * guess


def in_all(seconds: Sequence[float], lanes: int) -> float:
    """When the last of them ends, each being started, in order, on the first lane that is free."""
    ends = [0.0] * lanes
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


def load_sizes(cells: Sequence[Cell], data_dir: str | None) -> dict[str, tuple[int, int]]:
    """Training rows and channels of the cells' data sets; an [`InputError`] where one cannot be had."""
    sizes = {}
    for cell in cells:
        if cell.dataset not in sizes:
            arguments = {"dataset": cell.dataset, "data_dir": data_dir, "prediction_length": cell.prediction_length}
            known = {name: value for name, value in cell.flags.items() if name in DataSettings.__dataclass_fields__}
            data = DataSettings(**(known | arguments)).load()
            sizes[cell.dataset] = (data.split.train[1] - data.split.train[0], data.num_input_channels)
    return sizes


def _keys(step: Cell | TeacherCell) -> list[tuple]:
    """What is alike, the most alike first."""
    if _is_teacher(step):
        return [("teacher", step.family)]
    return [("cell", step.variant, step.families), ("cell", step.variant)]


def _is_teacher(step: Cell | TeacherCell) -> bool:
    return isinstance(step, TeacherCell)
