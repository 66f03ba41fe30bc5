"""Trainer callbacks: stop on NaN, stop early, one bar a stage."""

import math

from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ProgressCallback


class StopOnNaNCallback(TrainerCallback):
    """Ends training with an error when a loss or the validation error is not finite; a NaN is never an improvement."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        self._check(logs or {}, state)

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self._check(metrics or {}, state)

    def _check(self, values: dict, state) -> None:
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value) and name != "grad_norm":
                raise FloatingPointError(
                    f"{name} is {value} at step {state.global_step}: lower the learning rate, clip gradients "
                    "(`max_grad_norm=1`) or look for extreme values in the data"
                )


class ValidationEarlyStopping(EarlyStoppingCallback):
    """Early stopping that leaves other evaluations, such as the one on the test windows, alone."""

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        name = args.metric_for_best_model
        if name in metrics or f"eval_{name}" in metrics:
            super().on_evaluate(args, state, control, metrics, **kwargs)


class StageProgress(ProgressCallback):
    """One bar for all steps of a training, gone when it ends; what is logged on the way is not printed."""

    def __init__(self, name: str):
        super().__init__()
        self._name = name

    def on_train_begin(self, args, state, control, **kwargs):
        super().on_train_begin(args, state, control, **kwargs)
        if self.training_bar is not None:
            self.training_bar.leave = False
            self.training_bar.set_description(self._name)

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        """No bar within the bar."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Not printed: the trainer keeps it, and the stage's card and plots show it."""
