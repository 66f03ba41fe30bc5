"""The teachers of a run: checked before anything is done, trained or loaded, taken together."""

import logging
from dataclasses import dataclass
from pathlib import Path

from .._utils.errors import InputError
from .._utils.run_folder import SIGNAL_FOLDER
from ..data.windows import ForecastData
from ..settings.run import DistillSettings
from ..signal_store.layout import DTYPES
from ..signal_store.table import TableTeacher, is_table
from ..teachers import FAMILIES, FrozenTeacher, Teacher, TeacherFamily, get_family
from ..teachers.combined import SeveralTeachers, validation_weighted
from ..teachers.loading import load_teacher_for
from ..training.arguments import ForecastTrainingArguments
from ..training.derived import derive, limit_steps
from ..training.teacher_training import build_config, train_teacher


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunTeachers:
    """What `--teacher` names: families to train here, folders or Hub ids of trained teachers, or a table of forecasts.

    Args:
        settings: which ones, and how they are mixed.
        args: the run's training arguments.
        folder: of the run.
    """

    settings: DistillSettings
    args: ForecastTrainingArguments
    folder: Path

    def load(self, data: ForecastData) -> dict[str, FrozenTeacher]:
        """Those that are trained already, by what names them.

        Raises:
            InputError: one cannot be loaded or does not fit, or the configuration of one to be trained is wrong.
        """
        families = [name for name in self.settings.teacher if name in FAMILIES]
        if not families and (self.settings.teacher_config is not None or self.settings.teacher_epochs is not None):
            raise InputError(
                f"--teacher {' '.join(self.settings.teacher)!r} is trained already: --teacher_config and "
                "--teacher_epochs go with a family"
            )
        if len(families) > 1 and self.settings.teacher_config is not None:
            raise InputError(
                f"--teacher_config with {' '.join(families)}: it is for one family; train each with train_teacher.py"
            )
        for name in families:
            build_config(get_family(name), data, self.settings.teacher_fields())
        if families and self.settings.teacher_revision is not None:
            raise InputError(
                f"--teacher_revision {self.settings.teacher_revision!r} goes with a Hub id: {families[0]} is trained "
                "here"
            )
        pooling = self.settings.feature_pooling
        loaded = {
            name: load_teacher_for(name, data, self.settings.teacher_revision).pooled(pooling)
            for name in self.settings.teacher
            if name not in FAMILIES
        }
        if pooling not in (None, "flatten"):
            self._check_pools([get_family(name) for name in families] + [t.family for t in loaded.values()])
        return loaded

    def load_table(self, data: ForecastData) -> TableTeacher | None:
        """The table of forecasts that `--teacher` names, where it names one.

        Raises:
            InputError: it cannot be read or does not fit, or the settings ask for more than a table can do.
        """
        tables = [name for name in self.settings.teacher if is_table(name)]
        if not tables:
            return None
        self._check_table(tables[0])
        dtype = DTYPES[self.settings.signal_dtype]
        return TableTeacher(tables[0], data, directory=self.folder / SIGNAL_FOLDER, dtype=dtype)

    def _check_table(self, name: str) -> None:
        """Raise where settings ask for more than a table of forecasts can do."""
        if len(self.settings.teacher) > 1:
            raise InputError(
                f"--teacher {' '.join(self.settings.teacher)}: a table of forecasts is a teacher on its own; write "
                "the mean of several into one table"
            )
        if self.settings.teacher_signal == "live":
            raise InputError(
                f"--teacher_signal live with --teacher {name}: a table of forecasts knows only the windows that it "
                "was written for; leave out that flag"
            )

    def untrained(self, data: ForecastData, loaded: dict[str, FrozenTeacher]) -> FrozenTeacher:
        """All of them, those to be trained as they are built: of the size that the stored signal will have."""
        teachers = [loaded[name] if name in loaded else self._build(name, data) for name in self._names]
        return teachers[0] if len(teachers) == 1 else SeveralTeachers(teachers)

    def train(self, data: ForecastData, loaded: dict[str, FrozenTeacher]) -> dict[str, FrozenTeacher]:
        """All of them, trained as far as that is still to be done, by a name each that results use."""
        teachers = [loaded[name] if name in loaded else self._train(name, data) for name in self._names]
        names = [teacher.name for teacher in teachers]
        return {
            name if names.count(name) == 1 else f"{name}_{names[: index + 1].count(name)}": teacher
            for index, (name, teacher) in enumerate(zip(names, teachers, strict=True))
        }

    def mix(self, data: ForecastData, teachers: dict[str, FrozenTeacher]) -> FrozenTeacher:
        """The one teacher that they make together."""
        if len(teachers) == 1:
            return next(iter(teachers.values()))
        members = [teacher.to(self.args.device) for teacher in teachers.values()]
        if self.settings.teacher_mix == "mean":
            return SeveralTeachers(members)
        return validation_weighted(
            members, data, shrinkage=self.settings.teacher_shrinkage, batch_size=self.args.eval_batch_size
        )

    def _check_pools(self, families: list[TeacherFamily]) -> None:
        if not any(family.has_patches for family in families):
            names = ", ".join(family.model_type for family in families)
            raise InputError(
                f"--feature_pooling {self.settings.feature_pooling}: {names} has one feature a channel, nothing to "
                "pool; leave it out, or take a teacher with patches (patchtst, modern_tcn, Chronos)"
            )

    @property
    def _names(self) -> list[str]:
        return self.settings.teacher

    def _build(self, name: str, data: ForecastData) -> Teacher:
        family = get_family(name)
        model = family.model_class(build_config(family, data, self.settings.teacher_fields()))
        return Teacher(model, family, feature_pooling=self.settings.feature_pooling)

    def _train(self, name: str, data: ForecastData) -> Teacher:
        overrides = dict(get_family(name).training_defaults)
        if self.settings.teacher_epochs is not None:
            overrides["num_train_epochs"] = self.settings.teacher_epochs
        folder = self.folder / "teacher"
        if len(self._names) > 1:
            folder = folder / name
        args = derive(self.args, ForecastTrainingArguments, folder, overrides)
        args = limit_steps(args, len(data.train), self.settings.step_limit)
        try:
            teacher = train_teacher(name, data, folder, config=self.settings.teacher_fields(), args=args)
        except InputError as error:
            if not folder.is_symlink():
                raise
            raise InputError(
                f"{str(folder)!r} is a link to {str(folder.resolve())!r}, which is no teacher of this run: remove the "
                "link, or give what it leads to as teacher"
            ) from error
        return teacher.pooled(self.settings.feature_pooling)
