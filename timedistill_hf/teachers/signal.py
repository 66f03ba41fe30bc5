"""The seam between teachers and training: whatever teaches gives a signal for a batch of windows."""

from typing import NamedTuple, Protocol

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from ..errors import InputError


class TeacherSignal(NamedTuple):
    """What a teacher says about a batch.

    Args:
        prediction_outputs: `[B, S, C]`, the forecast on the scale of `past_values`.
        feature: `[B, C, d]`, one vector a channel, or `None` where the teacher has none to offer.
    """

    prediction_outputs: torch.Tensor
    feature: torch.Tensor | None = None


class TeacherFamily(Protocol):
    """One forecasting family: how it is built, trained by default, and read as a teacher. One file each.

    Attributes:
        model_type: the `model_type` of its configuration.
        model_class: the class with `from_pretrained`.
        training_defaults: `ForecastTrainingArguments` fields that train it well.
    """

    model_type: str
    model_class: type[PreTrainedModel]
    training_defaults: dict

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides
    ) -> PreTrainedConfig: ...

    def signal(
        self, model: PreTrainedModel, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None
    ) -> TeacherSignal: ...

    def channels(self, config: PreTrainedConfig) -> int | None:
        """The number of channels that a model of this configuration is bound to, or `None` for any."""


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
        """The signal for `past_values` `[B, L, C]` (and its mask, 1 where observed)."""
        return self.family.signal(self.model, past_values, past_observed_mask)

    def check_fits(self, context_length: int, prediction_length: int, num_input_channels: int) -> None:
        """Raise an [`InputError`] that names both sides where teacher and task do not fit."""
        self._check("context_length", self.config.context_length, context_length)
        self._check("prediction_length", self.config.prediction_length, prediction_length)
        bound_to = self.family.channels(self.config)
        if bound_to is not None and bound_to != num_input_channels:
            raise InputError(
                f"the teacher ({self.family.model_type}) was trained on {bound_to} channels, the data have "
                f"{num_input_channels}: train a teacher on these data, or choose the columns that it knows"
            )

    def _check(self, name: str, teacher: int, task: int) -> None:
        if teacher != task:
            raise InputError(
                f"the teacher ({self.family.model_type}) has {name}={teacher}, the student and its data {task}: "
                f"pass --{name} {teacher}, or train a teacher with {name}={task}"
            )
