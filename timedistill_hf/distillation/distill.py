"""The main job: teachers, student, controls, scores; every part resumable, the results in one folder."""

import logging
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import nn
from transformers import PreTrainedModel

from .._utils.errors import InputError
from .._utils.files import remove_leftovers
from .._utils.run_folder import RESULTS, SIGNAL_FOLDER, RunFolder
from ..data import Series, load_data, make_windows
from ..data.windows import ForecastData, WindowDataset
from ..evaluation.controls import SeasonalNaive
from ..evaluation.evaluate_model import evaluate_model
from ..evaluation.report import results_of
from ..evaluation.results import Results
from ..hub.publishing import prepare_run, publish_run
from ..settings.building import names_of
from ..settings.run import DataSettings
from ..student import TimeDistillConfig, TimeDistillForPrediction
from ..teachers import FrozenTeacher
from ..training.arguments import ForecastTrainingArguments, TimeDistillTrainingArguments
from ..training.closed_form import ClosedForm, has_closed_form
from ..training.derived import derive
from ..training.forecast_trainer import ForecastTrainer
from ..training.stages import run_stage
from ..training.trainer import TimeDistillTrainer
from .costs import announce
from .result import DistillResult
from .settings import OUTPUT_DIR, RunSettings
from .signal import RunSignal
from .students import MakeTrainer, RunStudent
from .teachers import RunTeachers, fingerprint, named


logger = logging.getLogger(__name__)

LINEAR_CONTROL = {
    "loss": "mse",
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
    "lr_epoch_decay": 0.5,
    "lr_constant_epochs": 2,
    "num_train_epochs": 15,
    "early_stopping_patience": 5,
    "per_device_train_batch_size": 32,
}


def distill(
    data: object = "synthetic",
    teacher: object = "itransformer",
    *,
    recipe: str = "best",
    output_dir: str = OUTPUT_DIR,
    **settings: Any,
) -> DistillResult:
    """Distil a teacher into a small student: train, choose on validation, score on test and save.

        result = distill("my.csv", teacher="patchtst", prediction_length=96, output_dir="runs/mine")
        result.forecaster.predict(pandas.read_csv("my.csv"))

    A run that was interrupted goes on when it is called again in the same way. All processes must call this.

    Args:
        data: a file, a benchmark's name, a Hub id, a table (DataFrame of pandas or polars, Arrow table,
            `datasets.Dataset`), a [`Series`], or windows ([`ForecastData`]).
        teacher: a family that is trained here (`"patchtst"`), a folder or Hub id of a trained model, a model, a
            function of `past_values` `[B, L, C]` (numpy, the data's units) that gives `[B, S, C]`, a table of
            forecasts, or a list of several.
        recipe: named defaults for all that is not given: `"best"` or `"paper"` (arXiv 2502.15016).
        output_dir: folder of the run: student, card, plots, `results.json`.
        settings: any field of [`DataSettings`], [`StudentSettings`], [`DistillSettings`] and
            [`TimeDistillTrainingArguments`], such as `context_length`, `timestamp_column`, `alpha`, `seed`,
            `overwrite`, `push_to_hub`.

    Raises:
        InputError: a setting is not known or refused; the folder holds results already, or a half-finished run with
            other settings; data, teacher and student do not fit; or the Hub does not take the student.
    """
    _check_settings(data, settings)
    teachers, objects = named(teacher)
    given = {"teacher": teachers, "recipe": recipe, "output_dir": str(output_dir), **settings}
    if isinstance(data, ForecastData):
        given |= _lengths_of(data, given)
    is_named = isinstance(data, str) or hasattr(data, "__fspath__")
    series = data.series if isinstance(data, ForecastData) else data
    label = series.name if isinstance(series, Series) else type(data).__name__
    given["dataset"] = str(data) if is_named else label
    run = Distillation(RunSettings.of(given), None if is_named else data, objects)
    run.run()
    return DistillResult(run.settings.folder)


def _check_settings(data: object, settings: Mapping) -> None:
    """Raise where a setting would be read by nobody."""
    if "dataset" in settings:
        raise InputError(f"dataset={settings['dataset']!r}: give the data as the first argument, `data`")
    if "config" in settings:
        raise InputError(f"config={settings['config']!r}: a settings file is for the command line; give its settings")
    if isinstance(data, (Series, ForecastData)):
        lengths = {"context_length", "prediction_length"}
        read = lengths if isinstance(data, ForecastData) else lengths | {"split"}
        for name in names_of(DataSettings):
            if name in settings and name not in read:
                raise InputError(
                    f"{name}={settings[name]!r} is for data that are yet to be read, not for a "
                    f"{type(data).__name__}: give it to load_series or make_windows"
                )


def _lengths_of(data: ForecastData, given: Mapping) -> dict:
    """The windows' own, which nothing else that is given may contradict."""
    lengths = {name: data.shape[name] for name in ("context_length", "prediction_length")}
    for name, length in lengths.items():
        if given.get(name, length) != length:
            raise InputError(f"{name}={given[name]}: the windows have {length}; leave it out, or cut them anew")
    return lengths


@dataclass(frozen=True)
class Distillation:
    """One run of the main job.

    Args:
        settings: all of them.
        source: the data, where they are no name.
        objects: teachers that are no names, by what names them.
    """

    settings: RunSettings
    source: object = None
    objects: Mapping[str, object] = field(default_factory=dict)

    @property
    def args(self) -> TimeDistillTrainingArguments:
        return self.settings.args

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.settings.folder)

    @property
    def _teachers(self) -> RunTeachers:
        return RunTeachers(self.settings, self.objects)

    @property
    def _students(self) -> RunStudent:
        return RunStudent(self.settings)

    def run(self) -> None:
        """Train what is to be trained, score everything on the test windows and write `results.json`.

        With `push_to_hub` the finished student is published; where only that is left to do, it is all that is done.
        """
        overwrite = self.settings.run.overwrite
        RunSignal(self.settings, False).check_directory()
        data = self._data()
        config = self._students.config(data)
        signal = RunSignal(self.settings, self._students.wants_feature(config))
        record = self.settings.record() | {"data_fingerprint": data.series.fingerprint()}
        loaded = self._teachers.load(data)
        given = {name: each for name, each in loaded.items() if name in self.objects or each.has_stored_signal}
        if given:
            record["teacher_fingerprint"] = fingerprint(given)
        if self.args.push_to_hub and self.folder.is_to_be_published(record, overwrite=overwrite):
            self._publish()
            return
        self.folder.check(record, overwrite=overwrite)
        if signal.must_be_stored:  # no teacher is trained for nothing
            untrained = signal.of(self._teachers.untrained(data, loaded))
            signal.may_be_stored(untrained, data.for_teacher(untrained.num_time_features).train)
        prepare_run(self.args, self._known_licences(loaded))
        PartialState().wait_for_everyone()
        with self.folder.locked() if self.args.should_save else nullcontext():
            if self.args.should_save:
                self.folder.start(record, overwrite=overwrite)
            PartialState().wait_for_everyone()
            self._run(data, config, signal, record, loaded)
            if self.args.push_to_hub:
                self._publish()
        PartialState().wait_for_everyone()

    def _data(self) -> ForecastData:
        if isinstance(self.source, ForecastData):
            return self.source
        if isinstance(self.source, Series):
            settings = self.settings.data
            return make_windows(self.source, settings.context_length, settings.prediction_length, settings.split)
        return load_data(self.settings.data, source=self.source)

    def _known_licences(self, loaded: Mapping[str, FrozenTeacher]) -> list[dict[str, str]]:
        if len(loaded) < len(self.settings.run.teacher):
            return []
        return [licence for teacher in loaded.values() for licence in teacher.licences]

    def _run(
        self,
        data: ForecastData,
        config: TimeDistillConfig,
        signal: RunSignal,
        record: dict,
        loaded: Mapping[str, FrozenTeacher],
    ) -> None:
        if self.args.should_save:
            stages = [*self._teachers.stages(data), *self._students.stages(data, config)]
            announce(stages, data.with_time_features().train)
        teachers = self._teachers.train(data, loaded)
        teacher = self._teachers.mix(data, teachers).to(self.args.device)
        if signal.drops_features:
            logger.info("teacher_signal=forecasts: only the forecasts are stored, the feature terms (beta) are off")
        teaching = signal.of(teacher)
        windows = data.for_teacher(teaching.num_time_features).train
        (is_stored,) = broadcast_object_list([signal.may_be_stored(teaching, windows)])
        models: dict[str, nn.Module] = {"teacher": teacher} if teacher.covers("test") else {}
        if len(teachers) > 1:
            models |= {f"teacher_{name}": member for name, member in teachers.items()}
        solve = ClosedForm(data)
        make_trainer = self._make_trainer(data, windows, teaching, signal, is_stored)
        students = self._students.train(data, config, make_trainer, solve)
        models |= students.models | self._controls(data, config, solve)
        shown = teacher.prepare(data)
        if not self.args.should_save:
            return
        about = teacher.about() | {"source": self.settings.run.teacher, "signal": signal.described(teacher, is_stored)}
        if teacher.has_stored_signal and teacher.covers("validation"):
            score = evaluate_model(teacher, shown, shown.validation, batch_size=self.args.eval_batch_size)
            about["validation_mse"] = score["mse"]
        results = results_of(data, models, self.args.eval_batch_size) | students.members
        results |= {"teacher": about, "settings": record}
        self._finish(shown, models, Results.from_dict(results))

    def _make_trainer(
        self,
        data: ForecastData,
        windows: WindowDataset,
        teacher: FrozenTeacher,
        signal: RunSignal,
        is_stored: bool,
    ) -> MakeTrainer:
        def make(model: PreTrainedModel, args: TimeDistillTrainingArguments) -> TimeDistillTrainer:
            labelled = signal.store(teacher, data, args.eval_batch_size) if is_stored else windows
            arguments = data.for_trainer() | {"train_dataset": labelled}
            return TimeDistillTrainer(model=model, args=args, teacher=None if is_stored else teacher, **arguments)

        return make

    def _controls(self, data: ForecastData, config: TimeDistillConfig, solve: ClosedForm) -> dict[str, nn.Module]:
        controls: dict[str, nn.Module] = {}
        if "linear" in self.settings.run.controls:
            controls["linear"] = self._linear_control(data, solve)
        if "seasonal_naive" in self.settings.run.controls:
            controls["seasonal_naive"] = SeasonalNaive(data.series.season, config.prediction_length)
        return controls

    def _linear_control(self, data: ForecastData, solve: ClosedForm) -> PreTrainedModel:
        """One linear layer on squared error: solved exactly, or where that cannot be by a schedule of its own."""
        linear = TimeDistillConfig(**data.shape, architecture="linear")
        folder = self.folder.path / "controls" / "linear"
        args = derive(self.args, ForecastTrainingArguments, folder, LINEAR_CONTROL)

        def make_trainer(model: PreTrainedModel) -> ForecastTrainer:
            return ForecastTrainer(model=model, args=args, **data.for_trainer())

        method = solve if has_closed_form(linear) else None
        return run_stage("linear", folder, lambda: TimeDistillForPrediction(linear), make_trainer, args.seed, method)

    def _finish(self, data: ForecastData, models: dict[str, nn.Module], results: Results) -> None:
        """Card, plots and, when all else is there, `results.json`."""
        from ..cards import save_card, student_card
        from ..plots.run import plot_run

        folder = self.folder.path
        remove_leftovers(folder)
        forecasters = {name: models[name] for name in ("student", "teacher") if name in models}
        plots = plot_run(folder, folder, data, forecasters, results, self.args.device)
        save_card(student_card(results, folder.resolve().name, plots=plots, license=self.args.hub_license), folder)
        shutil.rmtree(folder / SIGNAL_FOLDER, ignore_errors=True)
        results.to_json(folder / RESULTS)
        self._students.clear()

    def _publish(self) -> None:
        """The student, its card and the results, to the Hub."""
        if self.args.should_save:
            publish_run(self.args)
