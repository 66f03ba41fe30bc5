"""The Trainer for any forecaster: supervised loss on `prediction_outputs`, evaluation in bounded memory."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from huggingface_hub import CommitInfo
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers import EvalPrediction, PreTrainedModel, Trainer
from transformers.trainer import TRAINING_ARGS_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, EvalLoopOutput, TrainOutput
from transformers.utils import ModelOutput

from .._utils.errors import InputError
from .._utils.files import staged_folder
from .._utils.licences import ask, licence_in
from ..data.windows import split_targets
from ..evaluation.errors_per_window import mean_errors, window_errors
from ..hub import HubTarget, publish
from ..models.adapters import StudentAdapter, adapter_of
from ..student.modeling_timedistill import forecast_loss
from .arguments import ForecastTrainingArguments
from .callbacks import StopOnNaNCallback, ValidationEarlyStopping
from .checkpoints import as_input_error, check_weights, checkpoint_to_resume
from .interruption import SaveOnTerminationCallback


if TYPE_CHECKING:
    from huggingface_hub import ModelCard


class Ridge(NamedTuple):
    """One of the ridges that a closed form was solved with."""

    input_noise: float
    validation_mse: float


class ForecastTrainer(Trainer):
    """Trains a model with `past_values -> prediction_outputs` on windows: teachers, controls, plain students.

    Evaluation reports `eval_mse` and `eval_mae` over every observed entry of every window, each counted once also on
    several processes, from sums per window: no forecast is kept. Pass `compute_metrics` to have the stock evaluation,
    which keeps them all.

    Args:
        model: any such model.
        args: [`ForecastTrainingArguments`].
        train_dataset, eval_dataset: [`WindowDataset`]s, or anything whose items hold `past_values`, `future_values`.
        processing_class: the data's [`TimeDistillProcessor`], saved beside every checkpoint.
        teacher_forcing: whether the model reads `future_values` in training steps (never in evaluation).
        adapter: how a model with other names is read; the one known for its `model_type` where `None`.

    Attributes:
        ridges: of a model that was solved in closed form, not trained by steps, all that were tried; else none.
    """

    loss_is_scaled_for_ga = False

    def __init__(
        self,
        model: PreTrainedModel | None = None,
        args: ForecastTrainingArguments | None = None,
        *,
        teacher_forcing: bool = False,
        adapter: StudentAdapter | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(args, ForecastTrainingArguments):
            raise InputError(f"args is a {type(args).__name__}: expected ForecastTrainingArguments(output_dir, ...)")
        super().__init__(model=model, args=args, **kwargs)
        self.ridges: tuple[Ridge, ...] = ()
        self._teacher_forcing = teacher_forcing
        self.adapter = adapter or adapter_of(self.model)
        self._sums_per_window = False
        self._reports_sums = self.compute_metrics is None
        self.add_callback(StopOnNaNCallback())
        self._on_termination = SaveOnTerminationCallback()
        self.add_callback(self._on_termination)
        if args.early_stopping_patience and args.eval_strategy != "no" and self.eval_dataset is not None:
            self.add_callback(ValidationEarlyStopping(args.early_stopping_patience))

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> TrainOutput:
        """As the stock one; SIGTERM (and Ctrl-C in a script) saves a checkpoint and ends it with [`Terminated`].

        Raises:
            InputError: the checkpoint that it is to resume from is not whole, or of another training; or the model is
                to be published, and no licence is known of it.
        """
        if self.args.push_to_hub and not licence_in(str(self.model_card(license=self.args.hub_license))):
            raise ask(str(self.args.output_dir))
        if resume_from_checkpoint and not self.is_deepspeed_enabled:
            resume_from_checkpoint = checkpoint_to_resume(resume_from_checkpoint, self.args)
            self._check_checkpoint(resume_from_checkpoint)
        try:
            output = super().train(resume_from_checkpoint, *args, **kwargs)
            self._on_termination.end(self.args)
            return output
        finally:
            self._on_termination.restore()

    def _check_checkpoint(self, checkpoint: str) -> None:
        """Raise an [`InputError`] where training cannot resume from that whole checkpoint."""
        check_weights(checkpoint, self.model)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As the stock one; where the disk is full, what it wrote of this checkpoint is removed, the others stay."""
        folder = Path(self._get_output_dir(trial=trial))
        with staged_folder(folder / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}", folder):
            super()._save_checkpoint(model, trial)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with as_input_error(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with as_input_error(checkpoint):
            super()._load_rng_state(checkpoint)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, ModelOutput]:
        """The supervised error over the batch's observed entries (`args.loss`, `args.frequency_weight`)."""
        inputs, targets = split_targets(inputs)
        if self._teacher_forcing and model.training:
            inputs["future_values"] = targets["future_values"]
        outputs = model(**self.adapter.inputs(inputs))
        loss = forecast_loss(
            outputs.prediction_outputs,
            targets["future_values"],
            targets.get("future_observed_mask"),
            self.args.loss,
            self.args.frequency_weight,
        )
        return (loss, outputs) if return_outputs else loss

    def evaluate(
        self,
        eval_dataset: Dataset | dict[str, Dataset] | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        if not self._reports_sums:
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        self._sums_per_window = True
        self.compute_metrics = _metrics_from_sums
        try:
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        finally:
            self._sums_per_window = False
            self.compute_metrics = None

    def evaluation_loop(
        self, dataloader: DataLoader, description: str, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
    ) -> EvalLoopOutput:
        output = super().evaluation_loop(dataloader, description, *args, metric_key_prefix=metric_key_prefix, **kwargs)
        if self._sums_per_window:
            # the stock mean of batch losses is biased by a short last batch
            # (of the plain error: its share in frequency is for training)
            output.metrics[f"{metric_key_prefix}_loss"] = output.metrics[f"{metric_key_prefix}_{self.args.loss}"]
        return output

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        if not self._sums_per_window:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        sums = window_errors(outputs.prediction_outputs, inputs["future_values"], inputs.get("future_observed_mask"))
        return loss.detach(), sums, sums[:, -1]

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The published schedule where `lr_epoch_decay` is set: constant epochs, then one factor for each epoch."""
        if self.lr_scheduler is not None or self.args.lr_epoch_decay is None:
            return super().create_scheduler(num_training_steps, optimizer)
        steps_per_epoch = max(1, -(-len(self.train_dataset) // self.get_total_train_batch_size(self.args)))
        decay, constant = self.args.lr_epoch_decay, self.args.lr_constant_epochs

        def factor(step: int) -> float:
            epoch = step // steps_per_epoch + 1
            return decay ** max(0, epoch - constant)

        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, factor)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def model_card(self, repo: str | None = None, **metadata: Any) -> "ModelCard":
        """The card of what was trained so far, from model, data and log; see [`trainer_card`]."""
        from ..cards import trainer_card

        return trainer_card(self, repo, **metadata)

    def create_model_card(
        self,
        language: str | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | list[str] | None = None,
        dataset_tags: str | list[str] | None = None,
        dataset: str | list[str] | None = None,
        dataset_args: str | list[str] | None = None,
    ) -> None:
        """Write `README.md` into `args.output_dir`: a filled card in place of the stock draft.

        Args:
            language, license, tags: for the metadata.
            model_name: what the snippets load, where there is no `hub_model_id`.
            finetuned_from: Hub id of the model that training began with, if it is not to be read from the model.
            dataset_tags: Hub ids of the data.
            tasks, dataset, dataset_args: of the stock signature; the card knows better.
        """
        if not self.is_world_process_zero():
            return
        from ..cards import save_card

        card = self.model_card(
            self.hub_model_id or self.args.hub_model_id or model_name,
            language=language,
            license=license or self.args.hub_license,
            tags=_listed(tags),
            datasets=_listed(dataset_tags),
            **({"base_model": [finetuned_from]} if finetuned_from else {}),
        )
        save_card(card, self.args.output_dir)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """As the stock one, but the arguments are written as JSON: what is saved may be published, a pickle not."""
        super()._save(output_dir, state_dict)
        folder = output_dir if output_dir is not None else self.args.output_dir
        pickled = os.path.join(folder, TRAINING_ARGS_NAME)
        if os.path.exists(pickled):
            os.remove(pickled)
            with open(os.path.join(folder, "training_args.json"), "w", encoding="utf-8") as file:
                json.dump(self.args.to_sanitized_dict(), file, indent=2, sort_keys=True)

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """As the stock one, with an [`InputError`] where the repository may not be written to."""
        if self.is_world_process_zero():
            self.hub_model_id = self._hub_target(token, private).prepare()
            self.push_in_progress = None

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> CommitInfo | None:
        """Save the model and its card, then [`publish`] the folder: one commit, no pickle and no checkpoint in it.

        Arguments are the stock ones, `kwargs` those of `create_model_card`; `blocking` is always on.
        """
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        self.save_model(_internal_call=True)
        self.create_model_card(**kwargs)
        if not self.is_world_process_zero():
            return None
        target = self._hub_target(token, private, revision)
        return publish(
            self.args.output_dir,
            target.repo_id,
            private=target.private,
            token=target.token,
            revision=target.revision,
            commit_message=commit_message,
        )

    def _hub_target(self, token: str | None, private: bool | None, revision: str | None = None) -> HubTarget:
        """What the arguments say of the Hub, and what a call says in place of it."""
        said = {"token": token, "private": private, "revision": revision}
        return replace(HubTarget.of(self.args), **{name: value for name, value in said.items() if value is not None})


def _listed(values: str | list[str] | None) -> list[str]:
    return [values] if isinstance(values, str) else list(values or [])


def _metrics_from_sums(prediction: EvalPrediction) -> dict[str, float]:
    return mean_errors(torch.as_tensor(prediction.predictions))
