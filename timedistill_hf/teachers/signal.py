"""The seam between teachers and training: whatever teaches gives a signal for a batch of windows."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from ..errors import InputError


# how the authors of TimeDistill train their teachers; a family adds epochs and patience
PUBLISHED_TRAINING = {
    "loss": "mse",
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "lr_epoch_decay": 0.5,
    "lr_constant_epochs": 2,
    "per_device_train_batch_size": 32,
    "max_grad_norm": 0.0,
}


class TeacherSignal(NamedTuple):
    """What a teacher says about a batch.

    Args:
        prediction_outputs: `[B, S, C]`, the forecast on the scale of `past_values`.
        feature: `[B, C, d]`, one vector a channel, or `None` where the teacher has none to offer.
    """

    prediction_outputs: torch.Tensor
    feature: torch.Tensor | None = None


class TeacherFamily(ABC):
    """One forecasting family: how it is built, trained by default, and read as a teacher. One file each.

    Attributes:
        model_type: the `model_type` of its configuration.
        model_class: the class with `from_pretrained`.
        training_defaults: `ForecastTrainingArguments` fields that train it well.
        wants_time_features: whether one built here is to be given calendar features, where the data have timestamps.
    """

    model_type: str
    model_class: type[PreTrainedModel]
    training_defaults: dict
    wants_time_features: bool = False

    @abstractmethod
    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides
    ) -> PreTrainedConfig:
        """The configuration for data of that shape, some fields changed."""

    @abstractmethod
    def signal(
        self, model: PreTrainedModel, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None, **inputs
    ) -> TeacherSignal:
        """What the model says of a batch; `inputs` hold the calendar features for a family that takes them."""

    def channels(self, config: PreTrainedConfig) -> int | None:
        """The number of channels that a model of this configuration is bound to, or `None` for any."""
        return None

    def time_features(self, config: PreTrainedConfig) -> int:
        """How many calendar features a model of this configuration needs."""
        return 0

    def trains_on_future(self, config: PreTrainedConfig) -> bool:
        """Whether the model reads `future_values` while it is trained (teacher forcing)."""
        return False

    def look_back(self, config: PreTrainedConfig) -> int:
        """Steps of history that one forecast reads."""
        return config.context_length

    def remark(self, config: PreTrainedConfig) -> str:
        """What the log is to say of how such a model forecasts; empty where there is nothing to say."""
        return ""

    def check_lengths(self, config: PreTrainedConfig, context_length: int, prediction_length: int) -> None:
        """Raise an [`InputError`] where the model reads or forecasts another number of steps."""
        for name, task in (("context_length", context_length), ("prediction_length", prediction_length)):
            teacher = getattr(config, name)
            if teacher != task:
                raise InputError(
                    f"the teacher ({self.model_type}) has {name}={teacher}, the student and its data {task}: "
                    f"pass --{name} {teacher}, or train a teacher with {name}={task}"
                )


class Teacher(nn.Module):
    """A frozen forecaster: evaluation mode, no gradients, a [`TeacherSignal`] for every batch."""

    def __init__(self, model: PreTrainedModel, family: TeacherFamily):
        super().__init__()
        self.model = model.requires_grad_(False)
        self.family = family
        self.eval()

    @property
    def config(self) -> PreTrainedConfig:
        return self.model.config

    def train(self, mode: bool = True) -> "Teacher":
        """Stays in evaluation mode: batch statistics and dropout belong to the teacher's own training."""
        return super().train(False)

    @torch.no_grad()
    def forward(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **kwargs
    ) -> TeacherSignal:
        """The signal for `past_values` `[B, L, C]` (and its mask, 1 where observed; and calendar features)."""
        return self.family.signal(self.model, past_values, past_observed_mask, **kwargs)

    @property
    def num_time_features(self) -> int:
        """How many calendar features it needs beside the values."""
        return self.family.time_features(self.config)

    def check_fits(self, context_length: int, prediction_length: int, num_input_channels: int) -> None:
        """Raise an [`InputError`] that names both sides where teacher and task do not fit."""
        self.family.check_lengths(self.config, context_length, prediction_length)
        bound_to = self.family.channels(self.config)
        if bound_to is not None and bound_to != num_input_channels:
            raise InputError(
                f"the teacher ({self.family.model_type}) was trained on {bound_to} channels, the data have "
                f"{num_input_channels}: train a teacher on these data, or choose the columns that it knows"
            )

    def check_time_features(self, offered: int) -> None:
        """Raise an [`InputError`] where the windows do not offer the calendar features that it needs."""
        if self.num_time_features not in (0, offered):
            raise InputError(
                f"the teacher ({self.family.model_type}) needs {self.num_time_features} calendar features, the data "
                f"offer {offered}: give a time column (--timestamp_column), or train the teacher on these data"
            )
