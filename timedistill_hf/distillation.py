"""The main job: teacher, student, controls, scores; every part resumable, the results in one folder."""

import dataclasses
import logging
import shutil
from contextlib import nullcontext
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from transformers import PreTrainedModel

from .cli.settings import DataSettings, DistillSettings, StudentSettings
from .data.windows import ForecastData, split_targets
from .errors import InputError
from .evaluation.controls import SeasonalNaive
from .evaluation.evaluate_model import score_model
from .evaluation.report import hardware, versions
from .files import write_json
from .loading import load_teacher_for
from .run_folder import RESULTS, SIGNAL_FOLDER, RunFolder
from .student import TimeDistillConfig, TimeDistillForPrediction
from .teachers import FAMILIES, Teacher, get_family
from .teachers.store import free_bytes, has_room, store_signal, stored_bytes
from .training.arguments import ForecastTrainingArguments, TimeDistillTrainingArguments
from .training.forecast_trainer import ForecastTrainer
from .training.stages import run_stage
from .training.teacher_training import build_config, train_teacher
from .training.trainer import TimeDistillTrainer


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

    def run(self) -> dict:
        """Train what is to be trained, score everything on the test windows and write `results.json`.

        Returns:
            the content of `results.json`.

        Raises:
            InputError: the folder holds results already, or a half-finished run with other settings; or data, teacher
                and student do not fit.
        """
        self._check_flags()
        data = self.data_settings.load()
        record = self._record() | {"data_fingerprint": data.series.fingerprint()}
        self.folder.check(record, overwrite=self.settings.overwrite)
        config = self.student_settings.config(data, self.args.loss)
        self.args.check_lengths(
            config.prediction_length, None if config.architecture == "linear" else config.hidden_size
        )
        ready_teacher = self._check_teacher(data)
        PartialState().wait_for_everyone()
        with self.folder.locked() if self.args.should_save else nullcontext():
            if self.args.should_save:
                self.folder.start(record, overwrite=self.settings.overwrite)
            PartialState().wait_for_everyone()
            return self._run(data, config, record, ready_teacher)

    def _run(self, data: ForecastData, config: TimeDistillConfig, record: dict, ready_teacher: Teacher | None) -> dict:
        teacher = ready_teacher or self._train_teacher(data)
        (is_stored,) = broadcast_object_list([self._may_be_stored(teacher.to(self.args.device), data)])
        models: dict[str, torch.nn.Module] = {"teacher": teacher}
        models["student"] = self._student(data, teacher, config, is_stored)
        if "student_no_kd" in self.settings.controls:
            models["student_no_kd"] = self._control("student_no_kd", data, config, {"loss": self.args.loss})
        if "linear" in self.settings.controls:
            linear = TimeDistillConfig(
                architecture="linear",
                context_length=config.context_length,
                prediction_length=config.prediction_length,
                num_input_channels=config.num_input_channels,
            )
            models["linear"] = self._control("linear", data, linear, LINEAR_CONTROL)
        if "seasonal_naive" in self.settings.controls:
            models["seasonal_naive"] = SeasonalNaive(data.series.season, config.prediction_length)
        return self._results(data, teacher, models, record, is_stored) if self.args.should_save else {}

    def _check_flags(self) -> None:
        self.args.check_metric()
        if self.args.push_to_hub:
            raise InputError(
                "--push_to_hub: this run trains several models; push the student afterwards (push_to_hub)"
            )
        if self.args.resume_from_checkpoint is not None:
            raise InputError("--resume_from_checkpoint: a run resumes by itself when its command is given again")

    def _check_teacher(self, data: ForecastData) -> Teacher | None:
        """Raise where the teacher cannot serve; load it where it is trained already."""
        name = self.settings.teacher
        if name not in FAMILIES:
            if self.settings.teacher_config is not None or self.settings.teacher_epochs is not None:
                raise InputError(
                    f"--teacher {name!r} is trained already: --teacher_config and --teacher_epochs go with a family"
                )
            teacher = load_teacher_for(name, data)
            self._may_be_stored(teacher, data)
            return teacher
        family = get_family(name)
        config = build_config(family, data, self.settings.teacher_fields())
        if self.settings.teacher_signal == "stored":
            self._may_be_stored(Teacher(family.model_class(config), family), data)  # untrained, of the same size
        return None

    def _train_teacher(self, data: ForecastData) -> Teacher:
        name = self.settings.teacher
        overrides = dict(get_family(name).training_defaults)
        if self.settings.teacher_epochs is not None:
            overrides["num_train_epochs"] = self.settings.teacher_epochs
        folder = self.folder.path / "teacher"
        args = self._arguments_for(folder, overrides)
        return train_teacher(name, data, folder, config=self.settings.teacher_fields(), args=args)

    def _student(
        self, data: ForecastData, teacher: Teacher, config: TimeDistillConfig, is_stored: bool
    ) -> PreTrainedModel:
        def make_trainer(model: PreTrainedModel) -> TimeDistillTrainer:
            windows = data.for_teacher(teacher.num_time_features).train
            if is_stored:
                windows = store_signal(teacher, windows, self._signal_directory, batch_size=self.args.eval_batch_size)
            arguments = data.for_trainer() | {"train_dataset": windows}
            return TimeDistillTrainer(model=model, args=self.args, teacher=None if is_stored else teacher, **arguments)

        return run_stage(
            "student", self.folder.path, lambda: TimeDistillForPrediction(config), make_trainer, self.args.seed
        )

    def _may_be_stored(self, teacher: Teacher, data: ForecastData) -> bool:
        """Whether the teacher's signal is to be stored: asked for, within the size allowed, and there is room."""
        if self.settings.teacher_signal == "live":
            return False
        windows = data.for_teacher(teacher.num_time_features).train
        size, limit = stored_bytes(teacher, windows) / 1e9, self.settings.signal_limit_gb
        if size <= limit and has_room(teacher, windows, self._signal_directory):
            return True
        sizes = (
            f"the teacher's signal takes {size:.3g} GB, --signal_limit_gb allows {limit:g}, and the disk of "
            f"{str(self._signal_directory)!r} has {free_bytes(self._signal_directory) / 1e9:.3g} free"
        )
        if self.settings.teacher_signal == "stored":
            raise InputError(f"{sizes}: raise the limit, name another --signal_dir, or pass --teacher_signal live")
        logger.warning("%s: the teacher runs in every step instead", sizes)
        return False

    @property
    def _signal_directory(self) -> Path:
        return Path(self.settings.signal_dir) if self.settings.signal_dir else self.folder.path / SIGNAL_FOLDER

    def _control(self, name: str, data: ForecastData, config: TimeDistillConfig, overrides: dict) -> PreTrainedModel:
        folder = self.folder.path / "controls" / name
        args = self._arguments_for(folder, overrides)

        def make_trainer(model: PreTrainedModel) -> ForecastTrainer:
            return ForecastTrainer(model=model, args=args, **data.for_trainer())

        return run_stage(name, folder, lambda: TimeDistillForPrediction(config), make_trainer, args.seed)

    def _arguments_for(self, folder: Path, overrides: dict) -> ForecastTrainingArguments:
        """The run's arguments for another model of it: same machine, seed and step limit, own training settings.

        Overrides that name a learning rate describe a whole training procedure, so the student's is not mixed in.
        """
        own = {field.name for field in dataclasses.fields(ForecastTrainingArguments) if field.init}
        values = {name: getattr(self.args, name) for name in own}
        if "learning_rate" in overrides:
            for field in dataclasses.fields(ForecastTrainingArguments):
                if field.name in _PROCEDURE:
                    values[field.name] = field.default
        return ForecastTrainingArguments(**(values | overrides | {"output_dir": str(folder)}))

    def _results(self, data: ForecastData, teacher: Teacher, models: dict, record: dict, is_stored: bool) -> dict:
        scores = {}
        for name, model in models.items():
            model.to(self.args.device)
            windows = data.for_teacher(teacher.num_time_features) if name == "teacher" else data
            scores[name] = score_model(model, windows, batch_size=self.args.eval_batch_size, label=name)
        results = {
            "models": scores,
            "teacher": {
                "family": teacher.family.model_type,
                "source": self.settings.teacher,
                "signal": "stored" if is_stored else "live",
            },
            "data": {
                "name": data.series.name,
                "note": data.series.note,
                "fingerprint": data.series.fingerprint(),
                "columns": list(data.series.columns),
                "rows": dataclasses.asdict(data.split),
                "windows": {part: len(getattr(data, part)) for part in ("train", "validation", "test")},
                "season": data.series.season,
                "freq": data.series.freq,
            },
            "settings": record,
            "hardware": hardware(self.args.device),
            "versions": versions(),
        }
        self._write_card_and_plot(data.for_teacher(teacher.num_time_features), models, results)
        if not self.settings.signal_dir:
            shutil.rmtree(self._signal_directory, ignore_errors=True)
        write_json(self.folder.path / RESULTS, results)
        return results

    def _write_card_and_plot(self, data: ForecastData, models: dict, results: dict) -> None:
        from .cards import student_card
        from .plots import plot_forecast

        window = data.test[len(data.test) // 2]
        inputs, _ = split_targets({name: value.unsqueeze(0).to(self.args.device) for name, value in window.items()})
        with torch.no_grad():
            forecasts = {name: models[name](**inputs).prediction_outputs[0].cpu() for name in ("student", "teacher")}
        units = {name: data.processor.unstandardize(values).numpy() for name, values in forecasts.items()}
        shown = min(data.processor.context_length, 2 * data.processor.prediction_length)
        channel = data.num_input_channels - 1
        plot_forecast(
            self.folder.path / "forecast.png",
            data.processor.unstandardize(window["past_values"]).numpy()[-shown:, channel],
            data.processor.unstandardize(window["future_values"]).numpy()[:, channel],
            {name: values[:, channel] for name, values in units.items()},
            channel=data.series.columns[channel],
            title=f"{data.series.name}, test window {len(data.test) // 2} of {len(data.test)}",
        )
        student_card(results, self.args.output_dir).save(self.folder.path / "README.md")

    def _record(self) -> dict:
        """All settings, for `results.json` and to tell whether a half-finished run is this one."""
        record = {}
        for part in (self.data_settings, self.student_settings, self.settings):
            record |= dataclasses.asdict(part)
        record |= self.args.identity()
        for name in ("overwrite", "config"):
            record.pop(name)
        return record


_PROCEDURE = (
    "loss",
    "learning_rate",
    "weight_decay",
    "max_grad_norm",
    "lr_epoch_decay",
    "lr_constant_epochs",
    "lr_scheduler_type",
    "warmup_steps",
    "num_train_epochs",
    "early_stopping_patience",
    "per_device_train_batch_size",
)
