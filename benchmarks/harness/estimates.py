"""How long cells will take, before anything is run.

Work is counted in steps of series that go through a model: three times for each series of a training step (forwards
and backwards), and once for every series that there is, for labels and scores. Seconds are the work times a rate. The
rate is that of the finished cells of the same variant (those with the same teachers, where there are any), or of the
finished teachers of the same family; before there are any it is a first guess for one thread.
"""

import heapq
from collections.abc import Sequence

from timedistill_hf.data import load_data
from timedistill_hf.distillation.recipes import recipe_defaults
from timedistill_hf.settings.run import DataSettings, DistillSettings
from timedistill_hf.teachers import get_family
from timedistill_hf.training.arguments import ForecastTrainingArguments

from .cells import Cell, TeacherCell


SECONDS_PER_STEP = 6e-8
TEACHER_SECONDS_PER_STEP = {"itransformer": 7e-8, "patchtst": 1.9e-7, "modern_tcn": 9e-7, "informer": 8e-7}
OTHER_TEACHER = 3e-7


class Estimator:
    """Seconds by cell.

    Args:
        sizes: `(training rows, channels)` by data set.
    """

    def __init__(self, sizes: dict[str, tuple[int, int]]):
        self.sizes = sizes
        self._measured: dict[tuple, list[tuple[float, float]]] = {}

    def cost(self, step: Cell | TeacherCell) -> float:
        """Its work, in steps of series that go through a model; `0` where the data set is not known."""
        rows, channels = self.sizes.get(step.dataset, (0, 0))
        settings = _settings(step)
        length = int(settings.get("context_length", DataSettings.context_length)) + step.prediction_length
        windows = max(rows - length + 1, 0)
        batch = settings.get("per_device_train_batch_size", ForecastTrainingArguments.per_device_train_batch_size)
        if settings.get("series_per_batch"):
            batch = max(1, round(settings["series_per_batch"] / max(channels, 1)))
        steps = settings.get("num_train_epochs", ForecastTrainingArguments.num_train_epochs) * windows / batch
        if settings.get("max_steps", -1) > 0:
            steps = settings["max_steps"]
        steps = min(steps, settings.get("step_limit") or steps) if windows else 0
        return _models(step, settings) * (3 * steps * batch + windows) * channels * length

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
        guess = TEACHER_SECONDS_PER_STEP.get(step.family, OTHER_TEACHER) if _is_teacher(step) else SECONDS_PER_STEP
        return self.cost(step) * guess


def _settings(step: Cell | TeacherCell) -> dict:
    """All settings that are not the flags' own defaults: the recipe's or the family's, then the step's."""
    if _is_teacher(step):
        return get_family(step.family).training_defaults | step.flags
    recipe = step.flags.get("recipe", DistillSettings.recipe)
    return recipe_defaults(recipe, step.dataset, step.teachers[0].family) | step.flags


def _models(step: Cell | TeacherCell, settings: dict) -> int:
    """How many models are trained by steps, those beside which nothing counts: not what is solved."""
    if _is_teacher(step):
        return 1
    members = settings.get("members")
    if members is None:
        return 2  # the student and the same without distillation
    trained = [form for form in members if not (isinstance(form, dict) and form.get("ridge"))]
    return max(1, len(trained) * len(settings.get("teacher_weights", "01")))


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
            data = load_data(DataSettings(**(known | arguments)))
            sizes[cell.dataset] = (data.split.train[1] - data.split.train[0], data.num_input_channels)
    return sizes


def _keys(step: Cell | TeacherCell) -> list[tuple]:
    """What is alike, the most alike first."""
    if _is_teacher(step):
        return [("teacher", step.family)]
    return [("cell", step.variant, step.families), ("cell", step.variant)]


def _is_teacher(step: Cell | TeacherCell) -> bool:
    return isinstance(step, TeacherCell)
