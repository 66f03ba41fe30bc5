"""The distillation trainer: the student's Trainer with the teacher's signal in its loss."""

import logging
import os
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel
from transformers.trainer_utils import TrainOutput
from transformers.utils import ModelOutput

from .._utils.errors import InputError
from .._utils.run_folder import REGRESSOR_NAME
from ..data.processor import TimeDistillProcessor
from ..data.windows import split_targets
from ..signal_store.quality import warn_if_worse_than_naive
from ..signal_store.store import split_signal, stored_teacher_name
from ..teachers import FrozenTeacher, TeacherSignal
from .arguments import TimeDistillTrainingArguments
from .checkpoints import as_input_error
from .forecast_trainer import ForecastTrainer


if TYPE_CHECKING:
    from huggingface_hub import ModelCard

logger = logging.getLogger(__name__)

REGRESSOR_FILE = f"{REGRESSOR_NAME}.safetensors"


def build_regressor(teacher_size: int, hidden_size: int) -> nn.Sequential:
    """r of the paper: the teacher's feature `[B, C, d]` to the student's width D; trained with the student."""
    return nn.Sequential(nn.Linear(teacher_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, hidden_size))


def _probe_live(teacher: FrozenTeacher, inputs: dict, truth: torch.Tensor) -> TeacherSignal:
    teacher.check_fits(
        context_length=inputs["past_values"].shape[1],
        prediction_length=truth.shape[1],
        num_input_channels=inputs["past_values"].shape[2],
    )
    teacher.check_time_features(inputs["past_time_features"].shape[2] if "past_time_features" in inputs else 0)
    return teacher.cpu()(**inputs)


class TimeDistillTrainer(ForecastTrainer):
    """Trains a student on the truth and on a teacher's forecasts and features (arXiv 2502.15016).

    The teacher's signal is live or stored. Live, the teacher runs frozen, in evaluation mode, in training steps only.
    Stored, it comes with the training windows ([`store_signal`], or any data set whose items hold
    `teacher_prediction_outputs` and, if there is one, `teacher_feature`; where it is missing on some windows, also
    `teacher_known`), and no teacher is given.

    Where the feature terms are on (`beta` above 0, and student and teacher both have a feature) a regressor is trained
    with the student: it is a part of the model while `train()` runs, so that it is synchronised, clipped and resumed
    like everything else, and is neither in the saved weights nor in the model afterwards.

    Args:
        model: a student, any model with `past_values -> prediction_outputs` and, for the feature terms, `feature`
            `[B, C, D]` in its output. One with other names has a `StudentAdapter`, given as `adapter` or known for its
            `model_type`.
        teacher: a [`Teacher`], or [`SeveralTeachers`], or `None` where the training windows hold its signal.
        args: [`TimeDistillTrainingArguments`].
        objective: in the place of the arguments' [`TimeDistillObjective`]: a subclass of it, or a function of the same
            arguments that gives terms by name and, as `loss`, what is minimised.

    Raises:
        InputError: teacher and student disagree on look-back, horizon or channels, or there is no teacher's signal, or
            a live one and a stored one.
    """

    args: TimeDistillTrainingArguments

    def __init__(
        self,
        model: PreTrainedModel | None = None,
        args: TimeDistillTrainingArguments | None = None,
        *,
        teacher: FrozenTeacher | None = None,
        objective: Callable[..., dict[str, torch.Tensor]] | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(args, TimeDistillTrainingArguments):
            raise InputError(
                f"args is a {type(args).__name__}: expected TimeDistillTrainingArguments(output_dir, ...)"
            )
        if teacher is not None and not isinstance(teacher, FrozenTeacher):
            raise InputError(
                f"teacher is a {type(teacher).__name__}: expected what load_teacher(FOLDER) or train_teacher gives, a "
                "Teacher(model, family), or a CallableTeacher(function, ...)"
            )
        super().__init__(model=model, args=args, **kwargs)
        self.objective = args.objective() if objective is None else objective
        self._alpha = getattr(self.objective, "alpha", args.alpha)
        self._beta = getattr(self.objective, "beta", args.beta)
        self._term_sums: dict[str, torch.Tensor] = defaultdict(float)
        self._term_steps = 0
        self.regressor: nn.Module | None = None
        self._probe(teacher)
        if self.regressor is not None and self.model_init is not None:
            raise InputError(
                "model_init with the feature terms: their regressor is trained with one student; pass beta=0, or "
                "model=..."
            )
        self.teacher = None
        if teacher is not None:
            self.teacher = self.accelerator.prepare_model(teacher.to(self.args.device), evaluation_mode=True)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, ModelOutput]:
        """The five-term objective in training; the supervised error alone, without the teacher, in evaluation."""
        if not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        inputs, targets = split_targets(inputs)
        inputs, signal = split_signal(inputs)
        outputs = model(**self.adapter.inputs(inputs))
        if signal is None:
            signal = self.teacher(**inputs)
        terms = self.objective(
            prediction=outputs.prediction_outputs,
            target=targets["future_values"],
            teacher_prediction=signal.prediction_outputs,
            feature=self.adapter.feature(outputs) if self.regressor is not None else None,
            teacher_feature=self.regressor(signal.feature) if self.regressor is not None else None,
            observed=targets.get("future_observed_mask"),
            known=signal.known,
        )
        for name, term in terms.items():
            self._term_sums[name] += term.detach()
        self._term_steps += 1
        return (terms["loss"], outputs) if return_outputs else terms["loss"]

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        if isinstance(self.processing_class, TimeDistillProcessor):
            warn_if_worse_than_naive(self.teacher, self.train_dataset, self.processing_class.season)
        self._attach_regressor()
        try:
            return super().train(*args, **kwargs)
        finally:
            self._detach_regressor()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the mean of every term since the last log, by name, to the training logs."""
        if "loss" in logs and self._term_steps:
            names = [name for name in self._term_sums if name != "loss"]
            means = torch.stack([self._term_sums[name] for name in names]) / self._term_steps
            means = self.accelerator.reduce(means, reduction="mean")
            logs.update({f"loss_{name}": value for name, value in zip(names, means.tolist(), strict=True)})
            self._term_sums.clear()
            self._term_steps = 0
        super().log(logs, start_time)

    def model_card(self, repo: str | None = None, **metadata: Any) -> "ModelCard":
        """The card of what was trained so far, with who taught it; see [`trainer_card`]."""
        from ..cards import trainer_card
        from ..cards.run import taught_by

        alpha, beta = self._alpha, self._beta if self.regressor is not None else 0
        teacher = None if self.teacher is None else self.accelerator.unwrap_model(self.teacher)
        name = stored_teacher_name(self.train_dataset) if teacher is None else teacher.name
        hub_ids = [] if teacher is None else teacher.hub_ids
        metadata["base_model"] = [*hub_ids, *metadata.get("base_model", [])]
        lineage = taught_by(name, alpha, beta, self.args.loss)
        if alpha or beta:
            metadata["licences"] = teacher.licences if teacher is not None else [{}]
        return trainer_card(self, repo, lineage=lineage, is_distilled=bool(alpha or beta), **metadata)

    def _probe(self, teacher: FrozenTeacher | None) -> None:
        """Run one training window through both sides: shapes must agree, and features tell the regressor's size."""
        first = self.train_dataset[0]
        if not isinstance(first["past_values"], torch.Tensor):
            kind = type(first["past_values"]).__name__
            raise InputError(
                f"past_values of the training windows is a {kind}: expected tensors, of a datasets.Dataset by "
                'dataset.with_format("torch")'
            )
        item = {name: value.unsqueeze(0) for name, value in first.items() if isinstance(value, torch.Tensor)}
        inputs, targets = split_targets(item)
        inputs, signal = split_signal(inputs)
        if (signal is None) == (teacher is None):
            raise InputError(
                "no teacher: pass teacher=..., or training windows that hold its signal (store_signal)"
                if teacher is None
                else "the training windows hold a stored signal and a teacher is given too: leave out one of them"
            )
        if teacher is not None:
            signal = _probe_live(teacher, inputs, targets["future_values"])
        if signal.prediction_outputs is None or signal.prediction_outputs.shape != targets["future_values"].shape:
            found = None if signal.prediction_outputs is None else tuple(signal.prediction_outputs.shape[1:])
            raise InputError(
                f"the teacher forecasts {found}, the truth is {tuple(targets['future_values'].shape[1:])} (steps, "
                "channels): train or choose another teacher"
            )
        horizon = targets["future_values"].shape[1]
        output = self._student_output(inputs, targets["future_values"].shape)
        feature = self.adapter.feature(output) if self._beta else None
        if self._beta and (feature is None or signal.feature is None):
            side = "teacher" if signal.feature is None else "student"
            logger.warning("The %s has no feature: the feature terms (beta) are off.", side)
        if feature is None or signal.feature is None:
            self.args.check_lengths(horizon, None)
            return
        self.args.check_lengths(horizon, feature.shape[-1])
        self.regressor = build_regressor(signal.feature.shape[-1], feature.shape[-1])
        size = sum(parameter.numel() for parameter in self.regressor.parameters())
        logger.info(
            "Regressor of the teacher's feature: %d -> %d, %s parameters",
            signal.feature.shape[-1],
            feature.shape[-1],
            f"{size:,}",
        )

    def _student_output(self, inputs: dict, shape: torch.Size) -> ModelOutput:
        was_training = self.model.training
        inputs = {name: value.to(self.model.device) for name, value in self.adapter.inputs(inputs).items()}
        try:
            with torch.no_grad():
                output = self.model.eval()(**inputs)
        except (RuntimeError, TypeError, ValueError) as error:
            reason = str(error).split("\n")[0]
            raise InputError(f"the student cannot read the training windows: {reason}") from error
        self.model.train(was_training)
        forecast = output.prediction_outputs
        if not isinstance(forecast, torch.Tensor):
            raise InputError("the student forecasts a distribution: build it with loss='mse', for a point forecast")
        if forecast.shape != shape:
            raise InputError(
                f"the student forecasts {tuple(forecast.shape[1:])}, the truth is {tuple(shape[1:])} (steps, "
                "channels): build it for the data's prediction_length and channels"
            )
        return output

    def _attach_regressor(self) -> None:
        if self.regressor is None:
            return
        self.regressor.to(self.args.device)
        self.model.add_module(REGRESSOR_NAME, self.regressor)
        names = {f"{REGRESSOR_NAME}.{name}" for name in self.regressor.state_dict()}
        self.model._keys_to_ignore_on_save = set(self.model._keys_to_ignore_on_save or ()) | names

    def _detach_regressor(self) -> None:
        if self.regressor is None:
            return
        delattr(self.model, REGRESSOR_NAME)
        names = {f"{REGRESSOR_NAME}.{name}" for name in self.regressor.state_dict()}
        self.model._keys_to_ignore_on_save -= names

    def _check_checkpoint(self, checkpoint: str) -> None:
        had = os.path.isfile(os.path.join(checkpoint, REGRESSOR_FILE))
        if had != (self.regressor is not None):
            said = ("with", "without") if had else ("without", "with")
            raise InputError(
                f"checkpoint {checkpoint!r} was trained {said[0]} the feature terms, this training is {said[1]}: give "
                "the same beta, teacher and student to resume it"
            )
        super()._check_checkpoint(checkpoint)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.regressor is not None and self.args.should_save:
            state = {name: tensor.contiguous() for name, tensor in self.regressor.state_dict().items()}
            save_file(state, os.path.join(output_dir, REGRESSOR_FILE))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or self.regressor is None:
            return
        with as_input_error(checkpoint):
            self.regressor.load_state_dict(load_file(os.path.join(checkpoint, REGRESSOR_FILE)))
