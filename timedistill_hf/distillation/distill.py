"""The main job: teachers, student, controls, scores; every part resumable, the results in one folder."""

import dataclasses
import json
import logging
import shutil
from contextlib import nullcontext
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from transformers import PreTrainedModel

from .._utils.errors import InputError
from .._utils.files import remove_leftovers, write_json
from .._utils.run_folder import RESULTS, SIGNAL_FOLDER, RunFolder
from ..data import load_data
from ..data.windows import ForecastData, WindowDataset
from ..evaluation.controls import SeasonalNaive
from ..evaluation.evaluate_model import evaluate_model
from ..evaluation.report import results_of
from ..hub.publishing import prepare_run, publish_run
from ..objective.multi_scale import scales_that_fit
from ..settings.run import DataSettings, DistillSettings, StudentSettings
from ..signal_store.table import TableTeacher
from ..student import TimeDistillConfig, TimeDistillForPrediction
from ..teachers import FrozenTeacher
from ..teachers.combined import SeveralTeachers
from ..training.arguments import ForecastTrainingArguments, TimeDistillTrainingArguments
from ..training.closed_form import ClosedForm, has_closed_form
from ..training.derived import derive
from ..training.forecast_trainer import ForecastTrainer
from ..training.stages import run_stage
from ..training.trainer import TimeDistillTrainer
from .signal import RunSignal
from .students import MakeTrainer, RunStudent
from .teachers import RunTeachers


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


@dataclasses.dataclass(frozen=True)
class Distillation:
    """One run of the main job, in `args.output_dir`.

    Args:
        data_settings, student_settings, settings, args: what the script's flags hold.
    """

    data_settings: DataSettings
    student_settings: StudentSettings
    settings: DistillSettings
    args: TimeDistillTrainingArguments

    @property
    def folder(self) -> RunFolder:
        return RunFolder(Path(self.args.output_dir))

    @property
    def _teachers(self) -> RunTeachers:
        return RunTeachers(self.settings, self.args, self.folder.path)

    @property
    def _student(self) -> RunStudent:
        return RunStudent(self.student_settings, self.settings, self.args, self.folder.path)

    @property
    def _signal(self) -> RunSignal:
        return RunSignal(self.settings, self.args, self._student, self.folder.path)

    def run(self) -> dict:
        """Train what is to be trained, score everything on the test windows and write `results.json`.

        Returns:
            the content of `results.json`.

        With `args.push_to_hub` the finished student is published; where only that is left to do, it is all that is
        done.

        Raises:
            InputError: the folder holds results already, or a half-finished run with other settings; data, teacher
                and student do not fit; or the Hub does not take the student.
        """
        self._check_flags()
        self._signal.check_directory()
        data = load_data(self.data_settings)
        record = self._record() | {"data_fingerprint": data.series.fingerprint()}
        table = self._teachers.load_table(data)
        if table is not None:
            record["teacher_fingerprint"] = table.fingerprint()
        if self.args.push_to_hub and self.folder.is_to_be_published(record, overwrite=self.settings.overwrite):
            return self._publish(json.loads((self.folder.path / RESULTS).read_text(encoding="utf-8")))
        self.folder.check(record, overwrite=self.settings.overwrite)
        config = self._student.config(data)
        loaded = self._teachers.load(data) if table is None else {self.settings.teacher[0]: table}
        if self._signal.must_be_stored and table is None:  # no teacher is trained for nothing
            untrained = self._signal.of(self._teachers.untrained(data, loaded), config)
            self._signal.may_be_stored(untrained, data.for_teacher(untrained.num_time_features).train)
        trained_here = len(loaded) < len(self.settings.teacher)
        licences = [licence for teacher in loaded.values() for licence in teacher.licences]
        prepare_run(self.args, [] if trained_here else licences)
        PartialState().wait_for_everyone()
        with self.folder.locked() if self.args.should_save else nullcontext():
            if self.args.should_save:
                self.folder.start(record, overwrite=self.settings.overwrite)
            PartialState().wait_for_everyone()
            results = self._run(data, config, record, loaded)
            return self._publish(results) if self.args.push_to_hub else results

    def _run(
        self, data: ForecastData, config: TimeDistillConfig, record: dict, loaded: dict[str, FrozenTeacher]
    ) -> dict:
        teachers = self._teachers.train(data, loaded)
        teacher = self._teachers.mix(data, teachers).to(self.args.device)
        if self._signal.drops_features(config):
            logger.info("--teacher_signal forecasts: only the forecasts are stored, the feature terms (beta) are off")
        signal = self._signal.of(teacher, config)
        windows = data.for_teacher(signal.num_time_features).train
        (is_stored,) = broadcast_object_list([self._signal.may_be_stored(signal, windows)])
        models: dict[str, torch.nn.Module] = {"teacher": teacher} if _is_scored(teacher) else {}
        if len(teachers) > 1:
            models |= {f"teacher_{name}": member for name, member in teachers.items()}
        solve = ClosedForm(data)
        students = self._student.train(data, config, self._make_trainer(data, windows, signal, is_stored), solve)
        models |= students.models
        if "linear" in self.settings.controls:
            models["linear"] = self._linear_control(data, solve)
        if "seasonal_naive" in self.settings.controls:
            models["seasonal_naive"] = SeasonalNaive(data.series.season, config.prediction_length)
        shown = teacher.prepare(data)
        if not self.args.should_save:
            return {}
        about = {"name": teacher.name, "source": self.settings.teacher}
        about |= {"signal": self._signal.described(teacher, config, is_stored)}
        about |= {"mix": teacher.describe()} if isinstance(teacher, SeveralTeachers) else {}
        about |= {"hub_ids": teacher.hub_ids} if teacher.hub_ids else {}
        about |= {"licences": teacher.licences} if any(teacher.licences) else {}
        about |= self._about_table(teacher, shown) if isinstance(teacher, TableTeacher) else {}
        results = results_of(data, models, self.args.eval_batch_size) | students.members
        results |= {"teacher": about, "settings": record}
        return self._finish(shown, models, results)

    def _about_table(self, teacher: TableTeacher, data: ForecastData) -> dict:
        """Which windows it has forecasts for, and its validation error where it has them all."""
        about: dict = {"windows": {part: int(each.known.sum()) for part, each in teacher.coverage.items()}}
        if teacher.coverage["validation"].is_complete:
            score = evaluate_model(
                teacher, data, data.validation, batch_size=self.args.eval_batch_size, label="teacher"
            )
            about["validation_mse"] = score["mse"]
        return about

    def _check_flags(self) -> None:
        self.args.check_metric()
        if self.args.resume_from_checkpoint is not None:
            raise InputError("--resume_from_checkpoint: a run resumes by itself when its command is given again")

    def _make_trainer(
        self, data: ForecastData, labelled: WindowDataset, teacher: FrozenTeacher, is_stored: bool
    ) -> MakeTrainer:
        def make(model: PreTrainedModel, args: TimeDistillTrainingArguments) -> TimeDistillTrainer:
            windows = labelled
            if isinstance(teacher, TableTeacher):
                windows = teacher.windows(data)
            elif is_stored:
                windows = self._signal.store(teacher, windows, args.eval_batch_size)
            arguments = data.for_trainer() | {"train_dataset": windows}
            return TimeDistillTrainer(model=model, args=args, teacher=None if is_stored else teacher, **arguments)

        return make

    def _linear_control(self, data: ForecastData, solve: ClosedForm) -> PreTrainedModel:
        """One linear layer on squared error: solved exactly, or where that cannot be by a schedule of its own."""
        linear = TimeDistillConfig(**data.shape, architecture="linear")
        folder = self.folder.path / "controls" / "linear"
        args = derive(self.args, ForecastTrainingArguments, folder, LINEAR_CONTROL)

        def make_trainer(model: PreTrainedModel) -> ForecastTrainer:
            return ForecastTrainer(model=model, args=args, **data.for_trainer())

        method = solve if has_closed_form(linear) else None
        return run_stage("linear", folder, lambda: TimeDistillForPrediction(linear), make_trainer, args.seed, method)

    def _finish(self, data: ForecastData, models: dict[str, torch.nn.Module], results: dict) -> dict:
        """Card, plots and, when all else is there, `results.json`."""
        from ..cards import save_card, student_card
        from ..plots.run import plot_run

        folder = self.folder.path
        remove_leftovers(folder)
        forecasters = {name: models[name] for name in ("student", "teacher") if name in models}
        plots = plot_run(folder, folder, data, forecasters, results, self.args.device)
        save_card(student_card(results, folder.resolve().name, plots=plots, license=self.args.hub_license), folder)
        shutil.rmtree(folder / SIGNAL_FOLDER, ignore_errors=True)
        write_json(self.folder.path / RESULTS, results)
        self._student.clear()
        return results

    def _publish(self, results: dict) -> dict:
        """The student, its card and the results, to the Hub; the results on the main process, as ever."""
        if not self.args.should_save:
            return {}
        publish_run(self.args)
        return results

    def _record(self) -> dict:
        """All settings, for `results.json` and to tell whether a half-finished run is this one."""
        record = {}
        for part in (self.data_settings, self.student_settings, self.settings):
            record |= dataclasses.asdict(part)
        record |= self.args.identity()
        if self.args.num_scales is None:
            record["num_scales"] = scales_that_fit(self.data_settings.prediction_length)
        for name in ("overwrite", "config"):
            record.pop(name)
        return record


def _is_scored(teacher: FrozenTeacher) -> bool:
    """Whether the teacher can say something of all test windows."""
    return not isinstance(teacher, TableTeacher) or teacher.coverage["test"].is_complete
