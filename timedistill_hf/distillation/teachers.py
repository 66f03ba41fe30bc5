"""The teachers of a run: checked before anything is done, trained or loaded, taken together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import CodeType, FunctionType

import torch
from transformers import PreTrainedModel

from .._utils.errors import InputError
from .._utils.run_folder import SIGNAL_FOLDER
from ..data.windows import ForecastData
from ..signal_store.folder import DTYPES
from ..signal_store.table import TableTeacher, is_table
from ..tables.table import is_table as is_frame
from ..teachers import FAMILIES, FrozenTeacher, Teacher, get_family
from ..teachers.combined import SeveralTeachers, validation_weighted
from ..teachers.external import CallableTeacher
from ..teachers.families.generic import GenericFamily
from ..teachers.loading import load_teacher_for
from ..training.arguments import ForecastTrainingArguments
from ..training.derived import derive, limit_steps, within_memory
from ..training.teacher_training import build_config, train_teacher
from .costs import Stage
from .settings import RunSettings


@dataclass(frozen=True)
class RunTeachers:
    """What teaches in a run.

    Args:
        settings: of the run; `settings.run.teacher` names the teachers.
        objects: those that are no names but models, functions or tables, by what names them.
    """

    settings: RunSettings
    objects: Mapping[str, object]

    @property
    def names(self) -> list[str]:
        return self.settings.run.teacher

    @property
    def to_train(self) -> list[str]:
        """The families that are trained here."""
        return [name for name in self.names if name in FAMILIES and name not in self.objects]

    def load(self, data: ForecastData) -> dict[str, FrozenTeacher]:
        """Those that are there already, by what names them.

        Raises:
            InputError: one cannot be loaded or does not fit, or the configuration of one to be trained is wrong.
        """
        self._check()
        for name in self.to_train:
            build_config(get_family(name), data, self.settings.run.teacher_fields())
        loaded = {
            name: self._as_teacher(self.objects.get(name, name), name, data)
            for name in self.names
            if name not in self.to_train
        }
        if self.settings.run.feature_pooling not in (None, "flatten"):
            families = [get_family(name) for name in self.to_train]
            has_patches = [family.has_patches for family in families]
            has_patches += [getattr(teacher, "feature_pooling", None) is not None for teacher in loaded.values()]
            if not any(has_patches):
                raise InputError(
                    f"feature_pooling={self.settings.run.feature_pooling}: {' '.join(self.names)} has one feature a "
                    "channel, nothing to pool; leave it out, or take a teacher with patches (patchtst, modern_tcn, "
                    "Chronos)"
                )
        return loaded

    def _as_teacher(self, source: object, name: str, data: ForecastData) -> FrozenTeacher:
        pooling = self.settings.run.feature_pooling
        if is_frame(source) or is_table(str(source)):
            folder, dtype = self.settings.folder / SIGNAL_FOLDER, DTYPES[self.settings.run.signal_dtype]
            label = name if name in self.objects else None
            return TableTeacher(source, data, name=label, directory=folder, dtype=dtype)
        if isinstance(source, (str, Path)):
            return load_teacher_for(str(source), data, self.settings.run.teacher_revision).pooled(pooling)
        if isinstance(source, PreTrainedModel):
            kind = source.config.model_type
            family = get_family(kind) if kind in FAMILIES else GenericFamily(type(source), kind)
            source = Teacher(source.eval(), family, feature_pooling=pooling).cut(data.processor.prediction_length)
        if not isinstance(source, FrozenTeacher):
            source = _of_function(source, name, data)
        source.check_fits(**data.shape)
        source.check_time_features(data.for_teacher(source.num_time_features).num_time_features)
        return source

    def untrained(self, data: ForecastData, loaded: Mapping[str, FrozenTeacher]) -> FrozenTeacher:
        """All of them, those to be trained as they are built: of the size that the stored signal will have."""
        teachers = [loaded[name] if name in loaded else self._build(name, data) for name in self.names]
        return teachers[0] if len(teachers) == 1 else SeveralTeachers(teachers)

    def train(self, data: ForecastData, loaded: Mapping[str, FrozenTeacher]) -> dict[str, FrozenTeacher]:
        """All of them, trained as far as that is still to be done, by a name each that results use."""
        teachers = [loaded[name] if name in loaded else self._train(name, data) for name in self.names]
        names = [teacher.name for teacher in teachers]
        return {
            name if names.count(name) == 1 else f"{name}_{names[: index + 1].count(name)}": teacher
            for index, (name, teacher) in enumerate(zip(names, teachers, strict=True))
        }

    def mix(self, data: ForecastData, teachers: Mapping[str, FrozenTeacher]) -> FrozenTeacher:
        """The one teacher that they make together."""
        if len(teachers) == 1:
            return next(iter(teachers.values()))
        members = [teacher.to(self.settings.args.device) for teacher in teachers.values()]
        if self.settings.run.teacher_mix == "mean":
            return SeveralTeachers(members)
        shrinkage, batch_size = self.settings.run.teacher_shrinkage, self.settings.args.eval_batch_size
        return validation_weighted(members, data, shrinkage=shrinkage, batch_size=batch_size)

    def _check(self) -> None:
        """Raise where the settings ask for what these teachers cannot do."""
        run, named = self.settings.run, " ".join(self.names)
        if not self.to_train and (run.teacher_config is not None or run.teacher_epochs is not None):
            raise InputError(
                f"teacher={named} is trained already: `teacher_config` and `teacher_epochs` go with a family"
            )
        if len(self.to_train) > 1 and run.teacher_config is not None:
            raise InputError(
                f"`teacher_config` with {' '.join(self.to_train)}: it is for one family; train each by itself first"
            )
        if self.to_train and run.teacher_revision is not None:
            raise InputError(
                f"teacher_revision={run.teacher_revision!r} goes with a Hub id: {self.to_train[0]} is trained here"
            )
        tables = [name for name in self.names if is_table(name) or is_frame(self.objects.get(name))]
        if tables and len(self.names) > 1:
            raise InputError(
                f"teacher={named}: a table of forecasts is a teacher on its own; write the mean of several into one "
                "table"
            )
        if tables and run.teacher_signal == "live":
            raise InputError(
                f"`teacher_signal=live` with {tables[0]}: a table of forecasts knows only the windows that it was "
                "written for; leave it out"
            )

    def _build(self, name: str, data: ForecastData) -> Teacher:
        return Teacher(self._model(name, data), get_family(name), feature_pooling=self.settings.run.feature_pooling)

    def _model(self, name: str, data: ForecastData) -> PreTrainedModel:
        family = get_family(name)
        return family.model_class(build_config(family, data, self.settings.run.teacher_fields()))

    def stages(self, data: ForecastData) -> list[Stage]:
        """What `train` will train, in its order."""
        found = []
        for name in self.to_train:
            args = within_memory(self._arguments(name, data), data.num_input_channels)
            found.append(Stage(f"teacher {name}", Path(args.output_dir), partial(self._model, name, data), args))
        return found

    def _arguments(self, name: str, data: ForecastData) -> ForecastTrainingArguments:
        run = self.settings.run
        overrides = dict(get_family(name).training_defaults)
        if run.teacher_epochs is not None:
            overrides["num_train_epochs"] = run.teacher_epochs
        folder = self.settings.folder / "teacher"
        if len(self.names) > 1:
            folder = folder / name
        args = derive(self.settings.args, ForecastTrainingArguments, folder, overrides)
        return limit_steps(args, len(data.train), run.step_limit)

    def _train(self, name: str, data: ForecastData) -> Teacher:
        run, args = self.settings.run, self._arguments(name, data)
        folder = Path(args.output_dir)
        try:
            teacher = train_teacher(name, data, folder, config=run.teacher_fields(), args=args)
        except InputError as error:
            if not folder.is_symlink():
                raise
            raise InputError(
                f"{str(folder)!r} is a link to {str(folder.resolve())!r}, which is no teacher of this run: remove the "
                "link, or give what it leads to as teacher"
            ) from error
        return teacher.pooled(run.feature_pooling)


def named(teacher: object) -> tuple[list[str], dict[str, object]]:
    """Names for what was given as teacher, one or several, and by them those that are no names themselves.

    Raises:
        InputError: something cannot teach.
    """
    given = list(teacher) if isinstance(teacher, (list, tuple)) else [teacher]
    names, objects = [], {}
    for each in given:
        if isinstance(each, (str, Path)):
            names.append(str(each))
            continue
        if isinstance(each, FrozenTeacher):
            name = f"{each.name} teacher"
        elif isinstance(each, PreTrainedModel):
            name = f"{each.config.model_type} model"
        elif is_frame(each):
            name = "forecasts"
        elif callable(each) and not isinstance(each, torch.nn.Module):
            name = getattr(each, "__name__", type(each).__name__)
        else:
            raise InputError(
                f"a teacher of type {type(each).__name__!r}: expected a family's name, a folder, a Hub id, a model of "
                "transformers, a function of past values, or a table of forecasts"
            )
        while name in names:
            name += "_"
        names.append(name)
        objects[name] = each
    return names, objects


def fingerprint(teachers: Mapping[str, FrozenTeacher]) -> str:
    """Of teachers that were given as objects or tables, so that a run is not resumed with others."""
    return sha256("".join(teacher.fingerprint() for teacher in teachers.values()).encode()).hexdigest()[:16]


def _of_function(function: Callable, name: str, data: ForecastData) -> CallableTeacher:
    """A function of numpy arrays in the data's units, known by its code."""
    version = sha256(repr(_code_of(function)).encode()).hexdigest()[:16]
    lengths = {field: data.shape[field] for field in ("context_length", "prediction_length")}
    return CallableTeacher(function, **lengths, name=name, version=version, processor=data.processor)


def _code_of(value: object) -> object:
    """What tells one function from another, the same in every process: code, names, defaults and what it closes over.

    Of an object that is neither code nor a plain value only the type counts.
    """
    if isinstance(value, CodeType):
        return (value.co_code, value.co_names, tuple(map(_code_of, value.co_consts)))
    if isinstance(value, partial):
        return (_code_of(value.func), _code_of(value.args), _code_of(tuple(value.keywords.items())))
    if isinstance(value, FunctionType):
        closed = tuple(_code_of(cell.cell_contents) for cell in value.__closure__ or ())
        return (_code_of(value.__code__), _code_of(value.__defaults__), closed)
    if isinstance(value, (tuple, list)):
        return tuple(map(_code_of, value))
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return value
    call = vars(type(value)).get("__call__")
    return (type(value).__qualname__, _code_of(call) if isinstance(call, FunctionType) else None)
