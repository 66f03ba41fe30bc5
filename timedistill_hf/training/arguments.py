"""Training arguments with the defaults that forecasting under the Trainer needs, checked on construction."""

import os
from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy

from .._utils.errors import InputError
from .._utils.licences import check_licence
from ..objective.objective import TimeDistillObjective


_AT_LEAST_ONE = ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps")


@dataclass
class ForecastTrainingArguments(TrainingArguments):
    """`TrainingArguments` for any model with `past_values -> prediction_outputs`.

    Only fields that are new, or whose default differs from transformers', are listed here.
    """

    loss: str = field(
        default="mse",
        metadata={"help": "Supervised error that is minimised: 'mse' or 'mae'.", "choices": ["mse", "mae"]},
    )
    frequency_weight: float = field(
        default=0.0,
        metadata={"help": "Share of the supervised error that is taken between the spectra, from 0 to 1 (FreDF)."},
    )
    early_stopping_patience: int = field(
        default=5,
        metadata={"help": "Stop after this many evaluations without a better validation MSE; 0 never stops."},
    )
    lr_epoch_decay: float | None = field(
        default=None,
        metadata={"help": "Multiply the learning rate by this after each epoch, in place of lr_scheduler_type."},
    )
    lr_constant_epochs: int = field(
        default=1, metadata={"help": "With lr_epoch_decay: epochs at the full learning rate before the first decay."}
    )
    learning_rate: float = field(default=1e-3, metadata={"help": "Initial learning rate."})
    num_train_epochs: float = field(default=10.0, metadata={"help": "Passes over the training windows at most."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Windows per training step and device."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Windows per evaluation step and device."})
    label_names: list[str] | None = field(
        default_factory=lambda: ["future_values"],
        metadata={"help": "Input that holds the truth; without it the Trainer evaluates nothing and does not say so."},
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Keep inputs that the model's forward does not name, such as masks."}
    )
    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate on the validation windows."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to write a checkpoint."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints kept; the best one always is."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "End with the best checkpoint's weights."})
    metric_for_best_model: str | None = field(default="eval_mse", metadata={"help": "What makes a checkpoint best."})
    greater_is_better: bool | None = field(default=False, metadata={"help": "Whether a higher metric is better."})
    logging_strategy: str = field(default="epoch", metadata={"help": "When to log the loss and its terms."})
    logging_nan_inf_filter: bool = field(
        default=False, metadata={"help": "Hide NaN losses from the log; off, so that they end the run with an error."}
    )
    restore_callback_states_from_checkpoint: bool = field(
        default=True, metadata={"help": "On resume, restore the callbacks' state: early stopping keeps its patience."}
    )
    ddp_find_unused_parameters: bool | None = field(
        default=False,
        metadata={"help": "Must be off: the regressor's gradients are made outside the student's forward."},
    )

    hub_strategy: str = field(
        default="end",
        metadata={"help": "When to publish: at the end, the finished model in one commit.", "choices": ["end"]},
    )

    hub_license: str | None = field(
        default=None,
        metadata={"help": "Licence of the published weights, as the Hub names it; the teacher's where that is known."},
    )

    def __post_init__(self) -> None:
        if self.hub_license is not None:
            check_licence(self.hub_license)
        if self.hub_strategy not in ("end", HubStrategy.END):
            raise InputError(
                f"hub_strategy={str(getattr(self.hub_strategy, 'value', self.hub_strategy))!r}: expected 'end', since "
                "what is published is the finished model, in one commit, and no checkpoint"
            )
        if self.loss not in ("mse", "mae"):
            raise InputError(f"loss={self.loss!r}: expected 'mse' or 'mae'")
        if not 0 <= self.frequency_weight <= 1:
            raise InputError(f"frequency_weight={self.frequency_weight}: expected a share from 0 to 1")
        if self.early_stopping_patience < 0:
            raise InputError(f"early_stopping_patience={self.early_stopping_patience}: expected 0 (off) or more")
        if self.lr_epoch_decay is not None and not 0 < self.lr_epoch_decay <= 1:
            raise InputError(f"lr_epoch_decay={self.lr_epoch_decay}: expected a factor above 0, at most 1")
        if self.lr_constant_epochs < 0:
            raise InputError(f"lr_constant_epochs={self.lr_constant_epochs}: expected 0 or more")
        self._check_numbers()
        if not torch.accelerator.is_available():
            # without it two launched processes would each train alone, and pinning memory would warn at every loader
            self.use_cpu, self.dataloader_pin_memory = True, False
        try:
            super().__post_init__()
        except (ImportError, ValueError) as error:
            raise InputError(str(error)) from error
        self._check_trackers()
        launched = int(os.environ.get("WORLD_SIZE", "1"))
        if launched != self.world_size:
            raise InputError(
                f"{launched} processes were launched but training sees {self.world_size}: they would train apart; "
                "on a CPU pass `use_cpu=True` and launch with torchrun or accelerate launch --multi_gpu"
            )

    @property
    def supervision(self) -> dict:
        """The supervised loss, as a student's configuration and `forecast_loss` name its parts."""
        return {"loss": self.loss, "frequency_weight": self.frequency_weight}

    def identity(self) -> dict:
        """What a resumed run must have in common with the one that began: all arguments, and how it was launched."""
        launch = {
            "world_size": self.world_size,
            "n_gpu": self.n_gpu,
            "mixed_precision": os.environ.get("ACCELERATE_MIXED_PRECISION", "no"),
        }
        return self.to_sanitized_dict() | launch

    def _check_numbers(self) -> None:
        for name in ("learning_rate", "num_train_epochs"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name}={getattr(self, name)}: expected a number above 0")
        for name in ("weight_decay", "max_grad_norm", "adam_epsilon"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name}={getattr(self, name)}: expected a number from 0")
        for name in ("adam_beta1", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected a number from 0 to below 1")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected 1 or more")
        if self.max_steps != -1 and self.max_steps < 1:
            raise InputError(f"max_steps={self.max_steps}: expected 1 or more, or -1 for no limit but the epochs'")
        if self.dataloader_num_workers < 0:
            raise InputError(f"dataloader_num_workers={self.dataloader_num_workers}: expected 0 or more")
        for name in ("seed", "data_seed"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 2**32:
                raise InputError(f"{name}={value}: expected a whole number from 0 to {2**32 - 1}")

    def _check_trackers(self) -> None:
        """Trackers are built by the Trainer, after a run's folder has been started: what lacks is said before."""
        from transformers.integrations import get_available_reporting_integrations

        installed = [*get_available_reporting_integrations(), "flyte"]
        for name in self.report_to:
            if name not in installed:
                raise InputError(
                    f"report_to={name!r} is not known or not installed: install it, or choose of "
                    f"{', '.join(sorted(installed))}, none"
                )

    def check_metric(self) -> None:
        """Raise where the best checkpoint is to be found by something that the evaluation does not report."""
        name = self.metric_for_best_model
        if name is not None and name.removeprefix("eval_") not in ("loss", "mse", "mae"):
            raise InputError(f"metric_for_best_model={name!r}: expected eval_mse, eval_mae or eval_loss")


@dataclass
class TimeDistillTrainingArguments(ForecastTrainingArguments):
    """Arguments of [`TimeDistillTrainer`]: those of [`ForecastTrainingArguments`] and the objective's."""

    alpha: float = field(
        default=1.0, metadata={"help": "Weight of the teacher's forecast (multi-scale, multi-period)."}
    )
    beta: float = field(default=1.0, metadata={"help": "Weight of the teacher's feature (multi-scale, multi-period)."})
    scale_weight: float = field(
        default=1.0,
        metadata={"help": "Weight of the multi-scale terms beside the multi-period ones; 0 leaves them out."},
    )
    period_weight: float = field(
        default=1.0,
        metadata={"help": "Weight of the multi-period terms beside the multi-scale ones; 0 leaves them out."},
    )
    num_scales: int | None = field(
        default=None,
        metadata={"help": "How often the series is halved in the multi-scale terms; 3, or what fits a short horizon."},
    )
    temperature: float = field(default=0.5, metadata={"help": "Temperature of the period distributions."})
    kl_reduction: str = field(
        default="element",
        metadata={
            "help": "What the period divergence is divided by: every 'element' (published) or each 'distribution'.",
            "choices": ["element", "distribution"],
        },
    )
    kl_floor: float = field(
        default=0.0,
        metadata={
            "help": "Added to the student's period distribution before its logarithm, which bounds what one frequency "
            "can cost: 1e-8 in the published implementation."
        },
    )
    teacher_loss: str = field(
        default="mse",
        metadata={
            "help": "Error against the teacher's forecast at every scale: 'mse' (published) or 'mae'.",
            "choices": ["mse", "mae"],
        },
    )

    def __post_init__(self) -> None:
        try:
            self.objective()
        except ValueError as error:
            raise InputError(str(error)) from error
        super().__post_init__()

    def objective(self) -> TimeDistillObjective:
        """The objective that these arguments describe."""
        return TimeDistillObjective(
            alpha=self.alpha,
            beta=self.beta,
            scale_weight=self.scale_weight,
            period_weight=self.period_weight,
            num_scales=self.num_scales,
            temperature=self.temperature,
            kl_reduction=self.kl_reduction,
            kl_floor=self.kl_floor,
            loss=self.loss,
            frequency_weight=self.frequency_weight,
            teacher_loss=self.teacher_loss,
        )

    def check_lengths(self, prediction_length: int, hidden_size: int | None) -> None:
        """Raise where the horizon, or the feature's width if there is one, is too short for the pyramid of scales."""
        lengths = {"prediction_length": prediction_length if self.alpha else None}
        lengths["hidden_size"] = hidden_size if self.beta else None
        for name, length in lengths.items():
            if length == 1:
                raise InputError(
                    f"{name}=1 has no period, and the teacher's terms compare periods: lengthen it, or train without "
                    f"them ({'alpha' if name == 'prediction_length' else 'beta'}=0)"
                )
            if None not in (length, self.num_scales) and length < 2**self.num_scales:
                raise InputError(
                    f"{name}={length} is too short for num_scales={self.num_scales}, which needs "
                    f"{2**self.num_scales}: lower num_scales to {length.bit_length() - 1}, or leave it out"
                )
