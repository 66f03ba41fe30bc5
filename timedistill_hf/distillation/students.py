"""The student of a run: one form, or the combination of candidates that validation chooses."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PreTrainedModel

from .._utils.errors import InputError
from .._utils.files import read_json, write_json
from .._utils.run_folder import HISTORY
from ..data.windows import ForecastData
from ..evaluation.mixing import error_products
from ..settings.run import StudentSettings
from ..student import TimeDistillConfig, TimeDistillForPrediction
from ..training.arguments import ForecastTrainingArguments, TimeDistillTrainingArguments
from ..training.closed_form import ClosedForm, has_closed_form
from ..training.derived import derive, limit_steps, scored_within_memory, windows_per_batch
from ..training.forecast_trainer import ForecastTrainer
from ..training.stages import WEIGHTS, finished_folder, run_stage
from ..training.trainer import TimeDistillTrainer
from .candidates import Candidate, Selection, find_candidates, kind_of, select, validation_products
from .costs import Stage
from .settings import RunSettings


MakeTrainer = Callable[[PreTrainedModel, TimeDistillTrainingArguments], TimeDistillTrainer]


@dataclass(frozen=True)
class TrainedStudents:
    """What a run made.

    Args:
        models: `"student"` and, where it is wanted, `"student_no_kd"`.
        members: of a combination, for results: each candidate's form, weights of the teacher's signal, share in the
            student, validation and test MSE, and the products of their errors.
    """

    models: dict[str, nn.Module]
    members: dict = field(default_factory=dict)


@dataclass(frozen=True)
class RunStudent:
    """Trains the student, and the same without distillation, as far as that is still to be done."""

    settings: RunSettings

    @property
    def args(self) -> TimeDistillTrainingArguments:
        return self.settings.args

    @property
    def folder(self) -> Path:
        return self.settings.folder

    @property
    def is_combination(self) -> bool:
        return self.settings.student.architecture == "combination"

    @property
    def has_control(self) -> bool:
        return "student_no_kd" in self.settings.run.controls

    def config(self, data: ForecastData) -> TimeDistillConfig:
        """The student's configuration; of a combination, what its members have in common.

        Raises:
            InputError: it is not valid, or too short for the objective's pyramid of scales.
        """
        if self.settings.run.teacher_weights is not None and not self.is_combination:
            raise InputError("`teacher_weights` go with `architecture=combination`: give `alpha` and `beta`")
        config = student_config(self.settings.student, data, self.args.supervision)
        for candidate in self._candidates(config):
            size = self._form(candidate, config).feature_size
            self._arguments(candidate, data, config).check_lengths(config.prediction_length, size)
        return config

    def wants_feature(self, config: TimeDistillConfig) -> bool:
        """Whether any student is to be trained on the teacher's feature."""
        return any(
            candidate.beta and self._form(candidate, config).feature_size for candidate in self._candidates(config)
        )

    def stages(self, data: ForecastData, config: TimeDistillConfig) -> list[Stage]:
        """What `train` will train, in its order."""
        return [
            Stage(
                self._stage_name(candidate),
                self._folder_of(candidate),
                None if self._is_solved(candidate, config) else partial(TimeDistillForPrediction, form),
                self._arguments(candidate, data, config),
            )
            for candidate in self._every(config)
            for form in [self._form(candidate, config)]
        ]

    def train(
        self, data: ForecastData, config: TimeDistillConfig, make_trainer: MakeTrainer, solve: ClosedForm
    ) -> TrainedStudents:
        """Train and choose.

        Args:
            config: from `config`.
            make_trainer: gives the trainer of a distilled student its teacher or stored signal.
            solve: finds the weights of the candidates that have a closed form.
        """
        if self.is_combination:
            return self._train_combination(data, config, make_trainer, solve)
        return TrainedStudents(self._train_all(data, config, make_trainer, solve))

    def _train_all(
        self, data: ForecastData, config: TimeDistillConfig, make_trainer: MakeTrainer, solve: ClosedForm
    ) -> dict[str, TimeDistillForPrediction]:
        return {
            candidate.name if self.is_combination else self._stage_name(candidate): self._train_one(
                candidate,
                data,
                config,
                make_trainer if candidate.is_distilled else None,
                solve if self._is_solved(candidate, config) else None,
            )
            for candidate in self._every(config)
        }

    def _every(self, config: TimeDistillConfig) -> list[Candidate]:
        """The candidates, and those of the control without a teacher."""
        chosen = self._candidates(config)
        if not self.has_control:
            return chosen
        plain = [Candidate(candidate.member) for candidate in chosen]
        return list({candidate.name: candidate for candidate in [*chosen, *plain]}.values())

    def _is_solved(self, candidate: Candidate, config: TimeDistillConfig) -> bool:
        return candidate.is_solved and has_closed_form(candidate.config(config))

    def _stage_name(self, candidate: Candidate) -> str:
        if self.is_combination:
            return candidate.title
        return "student" if candidate == self._first else "student_no_kd"

    def _folder_of(self, candidate: Candidate) -> Path:
        if self.is_combination:
            return self.folder / "candidates" / candidate.name
        return self.folder if candidate == self._first else self.folder / "controls" / "student_no_kd"

    def _train_combination(
        self, data: ForecastData, config: TimeDistillConfig, make_trainer: MakeTrainer, solve: ClosedForm
    ) -> TrainedStudents:
        chosen = self._candidates(config)
        every = {candidate.name: candidate for candidate in self._every(config)}
        plain = [candidate for candidate in every.values() if not candidate.is_distilled]
        models = self._train_all(data, config, make_trainer, solve)
        if PartialState().is_main_process:
            logs = {name: read_json(self.folder / "candidates" / name / HISTORY, []) for name in every}
            write_json(self.folder / HISTORY, logs)
        products = validation_products(models, data, self.args.eval_batch_size)
        roles = {"student": (chosen, self.folder)}
        if self.has_control:
            roles["student_no_kd"] = (plain, self.folder / "controls" / "student_no_kd")
        students, selections = {}, {}
        for role, (members, folder) in roles.items():
            rows = [list(models).index(candidate.name) for candidate in members]
            selections[role] = select(
                {candidate.name: models[candidate.name] for candidate in members},
                products[rows][:, rows],
                shrinkage=self.settings.run.shrinkage,
                max_parameters=self.settings.run.max_parameters,
                loss=self.args.supervision,
                label=role,
                titles={candidate.name: candidate.title for candidate in members},
            )
            students[role] = self._save(selections[role], data, folder)
        return TrainedStudents(students, self._members(every, models, products, selections, data))

    def _candidates(self, config: TimeDistillConfig) -> list[Candidate]:
        if not self.is_combination:
            return [self._first]
        pairs = self.settings.run.teacher_weights or ["0,0", f"{self.args.alpha},{self.args.beta}"]
        return find_candidates(self.settings.student.members, pairs, config)

    @property
    def _first(self) -> Candidate:
        """The student, where it is no combination."""
        return Candidate({"architecture": self.settings.student.architecture}, self.args.alpha, self.args.beta)

    def _form(self, candidate: Candidate, base: TimeDistillConfig) -> TimeDistillConfig:
        return candidate.config(base) if self.is_combination else base

    def _train_one(
        self,
        candidate: Candidate,
        data: ForecastData,
        base: TimeDistillConfig,
        make_trainer: MakeTrainer | None,
        solve: ClosedForm | None = None,
    ) -> TimeDistillForPrediction:
        config, folder = self._form(candidate, base), self._folder_of(candidate)
        args = self._arguments(candidate, data, base)
        args = derive(args, TimeDistillTrainingArguments if make_trainer else ForecastTrainingArguments, folder, {})

        def trainer(model: PreTrainedModel) -> ForecastTrainer:
            if make_trainer is not None:
                return make_trainer(model, args)
            return ForecastTrainer(model=model, args=args, **data.for_trainer())

        build = partial(TimeDistillForPrediction, config)
        return run_stage(self._stage_name(candidate), folder, build, trainer, args.seed, solve)

    def _arguments(
        self, candidate: Candidate, data: ForecastData, base: TimeDistillConfig
    ) -> TimeDistillTrainingArguments:
        overrides: dict = {"alpha": candidate.alpha, "beta": candidate.beta}
        config = self._form(candidate, base)
        overrides |= {name: getattr(config, name) for name in self.args.supervision}
        args = derive(self.args, TimeDistillTrainingArguments, self.folder, overrides)
        args = windows_per_batch(args, data.num_input_channels, self.settings.run.series_per_batch)
        args = scored_within_memory(args, data.num_input_channels)
        return limit_steps(args, len(data.train), self.settings.run.step_limit)

    def _save(self, selection: Selection, data: ForecastData, folder: Path) -> TimeDistillForPrediction:
        """Put the chosen student where a student that was trained alone would be."""
        if PartialState().is_main_process and not (folder / WEIGHTS).exists():
            with finished_folder(folder) as stage:
                selection.student.save_pretrained(stage)
                data.processor.save_pretrained(stage)
        PartialState().wait_for_everyone()
        return selection.student.to(self.args.device)

    def _members(
        self, every: dict, models: dict, products: torch.Tensor, selections: dict[str, Selection], data: ForecastData
    ) -> dict:
        tested = error_products(list(models.values()), data.test, self.args.eval_batch_size)
        shares = {role: selection.weights for role, selection in selections.items()}
        candidates = {
            name: {
                "form": candidate.form,
                "alpha": candidate.alpha,
                "beta": candidate.beta,
                "kind": kind_of(models[name].config),
                "parameters": models[name].num_parameters(),
                "weight": shares["student"].get(name, 0.0),
                "weight_no_kd": shares.get("student_no_kd", {}).get(name, 0.0),
                "validation_mse": products[index, index].item(),
                "mse": tested[index, index].item(),
            }
            for index, (name, candidate) in enumerate(every.items())
        }
        return {
            "members": candidates,
            "validation_mse": {role: selection.error for role, selection in selections.items()},
            "error_products": {"validation": products.tolist(), "test": tested.tolist()},
        }

    def clear(self) -> None:
        """Remove the candidates' weights, which the student now holds."""
        shutil.rmtree(self.folder / "candidates", ignore_errors=True)


def student_config(settings: StudentSettings, data: ForecastData, supervision: dict) -> TimeDistillConfig:
    """The student's configuration for prepared data; of a combination, that of its members where they say nothing.

    Args:
        supervision: the loss that fine-tuning will minimise.

    Raises:
        InputError: the settings describe no student.
    """
    form = asdict(settings)
    form.pop("members")
    if settings.architecture == "combination":
        form["architecture"] = "linear"
    if settings.period is None:
        form["period"] = min(data.series.season, data.processor.context_length)
    form["patch_length"] = settings.patch_length or max(1, data.processor.context_length // 15)
    try:
        return TimeDistillConfig(**data.shape, **form, **supervision)
    except StrictDataclassError as error:
        raise InputError(str(error).splitlines()[-1].strip().removeprefix("ValueError: ")) from error
