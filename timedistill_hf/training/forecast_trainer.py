"""The Trainer for any forecaster: supervised loss on `prediction_outputs`, evaluation in bounded memory."""

import json
import os

import torch
from transformers.trainer import TRAINING_ARGS_NAME

from ..adapters import StudentAdapter, adapter_of
from ..data.windows import split_targets
from ..evaluation.errors_per_window import mean_errors, window_errors
from ..student.modeling_timedistill import forecast_loss
from .arguments import ForecastTrainingArguments
from .callbacks import StopOnNaNCallback, ValidationEarlyStopping
from .interruption import SaveOnTerminationCallback
from .weight_averaging import WeightAveragingTrainer


class ForecastTrainer(WeightAveragingTrainer):
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
    """

    loss_is_scaled_for_ga = False

    def __init__(
        self,
        model=None,
        args: ForecastTrainingArguments | None = None,
        *,
        teacher_forcing: bool = False,
        adapter: StudentAdapter | None = None,
        **kwargs,
    ):
        super().__init__(model=model, args=args, **kwargs)
        self._teacher_forcing = teacher_forcing
        self.adapter = adapter or adapter_of(self.model)
        self._sums_per_window = False
        self._reports_sums = self.compute_metrics is None
        self.add_callback(StopOnNaNCallback())
        self._on_termination = SaveOnTerminationCallback()
        self.add_callback(self._on_termination)
        if args.early_stopping_patience and args.eval_strategy != "no" and self.eval_dataset is not None:
            self.add_callback(ValidationEarlyStopping(args.early_stopping_patience))

    def train(self, *args, **kwargs):
        """As the stock one; SIGTERM saves a checkpoint and ends it with [`Terminated`]."""
        try:
            output = super().train(*args, **kwargs)
            self._on_termination.end(self.args)
            return output
        finally:
            self._on_termination.restore()

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The supervised error over the batch's observed entries (`args.loss` and its weightings)."""
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
            self.args.horizon_weighting,
        )
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        if not self._reports_sums:
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        self._sums_per_window = True
        self.compute_metrics = _metrics_from_sums
        try:
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        finally:
            self._sums_per_window = False
            self.compute_metrics = None

    def evaluation_loop(self, dataloader, description, *args, metric_key_prefix="eval", **kwargs):
        output = super().evaluation_loop(dataloader, description, *args, metric_key_prefix=metric_key_prefix, **kwargs)
        if self._sums_per_window:
            # the stock mean of batch losses is biased by a short last batch
            # (of the plain error: its weightings along the horizon or in frequency are for training)
            output.metrics[f"{metric_key_prefix}_loss"] = output.metrics[f"{metric_key_prefix}_{self.args.loss}"]
        return output

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        if not self._sums_per_window:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        sums = window_errors(outputs.prediction_outputs, inputs["future_values"], inputs.get("future_observed_mask"))
        return loss.detach(), sums, sums[:, -1]

    def create_scheduler(self, num_training_steps: int, optimizer=None):
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

    def _save(self, output_dir: str | None = None, state_dict=None):
        """As the stock one, but the arguments are written as JSON: what is saved may be published, a pickle not."""
        super()._save(output_dir, state_dict)
        folder = output_dir if output_dir is not None else self.args.output_dir
        pickled = os.path.join(folder, TRAINING_ARGS_NAME)
        if os.path.exists(pickled):
            os.remove(pickled)
            with open(os.path.join(folder, "training_args.json"), "w", encoding="utf-8") as file:
                json.dump(self.args.to_sanitized_dict(), file, indent=2, sort_keys=True)


def _metrics_from_sums(prediction) -> dict[str, float]:
    return mean_errors(torch.as_tensor(prediction.predictions))
