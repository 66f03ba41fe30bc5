"""What training, store and scoring ask of a teacher: it only ever forecasts."""

import hashlib
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import PreTrainedConfig

from .._utils.errors import InputError
from ..student.serving_timedistill import device_of
from .signal import TeacherSignal


if TYPE_CHECKING:
    from ..data.windows import ForecastData

# set by the Trainer, or when a configuration is saved or loaded
_NO_PART_OF_THE_MODEL = ("transformers_version", "_name_or_path", "architectures", "dtype", "auto_map", "use_cache")


class FrozenTeacher(nn.Module, ABC):
    """What training, store and scoring ask of a teacher, be it one model or several: it only ever forecasts.

    Attributes:
        name: what results call it.
        prediction_length: S, the steps that it forecasts.
        num_time_features: how many calendar features it needs beside the values.
        has_stored_signal: whether its forecasts are on the disk already, so that there is nothing to store. It then
            has no feature, and forecasts only the windows that `windows` and `prepare` give.
    """

    name: str
    prediction_length: int
    num_time_features: int
    has_stored_signal: bool = False

    @property
    def hub_ids(self) -> list[str]:
        """Of the models behind it that were loaded from the Hub."""
        return []

    @property
    def licences(self) -> list[dict[str, str]]:
        """Of each model behind it, as its card names it; empty where it is not known."""
        return [{}]

    def train(self, mode: bool = True) -> "FrozenTeacher":
        """Stays in evaluation mode: batch statistics and dropout belong to the teacher's own training."""
        return super().train(False)

    @property
    def device(self) -> torch.device:
        """Where its weights are; the CPU where it has none."""
        return device_of(self)

    def covers(self, part: str) -> bool:
        """Whether it can forecast all windows of `"train"`, `"validation"` or `"test"`."""
        return True

    def prepare(self, data: "ForecastData") -> "ForecastData":
        """The data with all that it needs in their windows."""
        return data.for_teacher(self.num_time_features)

    def windows(self, data: "ForecastData", part: str = "train") -> Dataset:
        """The windows of one part of the data with all that it needs."""
        return getattr(self.prepare(data), part)

    def forecast_only(self) -> "FrozenTeacher":
        """The same teacher without its feature."""
        return ForecastOnly(self)

    def about(self) -> dict:
        """What results say of it: its name and, where they are known, Hub ids and licences."""
        about: dict = {"name": self.name}
        about |= {"hub_ids": self.hub_ids} if self.hub_ids else {}
        return about | ({"licences": self.licences} if any(self.licences) else {})

    @abstractmethod
    def forward(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **time_features: Any
    ) -> TeacherSignal:
        """The signal for `past_values` `[B, L, C]`, without gradients.

        Args:
            past_observed_mask: `[B, L, C]`, 1 where observed; what `past_values` hold elsewhere does not count.
            time_features: `past_time_features` `[B, L, F]` and `future_time_features` `[B, S, F]`; not handed to a
                model that needs none.
        """

    @abstractmethod
    def check_fits(self, context_length: int, prediction_length: int, num_input_channels: int) -> None:
        """Raise an [`InputError`] that names both sides where teacher and task do not fit."""

    def check_time_features(self, offered: int) -> None:
        """Raise an [`InputError`] where the windows do not offer the calendar features that it needs."""
        if self.num_time_features not in (0, offered):
            raise InputError(
                f"the teacher ({self.name}) needs {self.num_time_features} calendar features, the data "
                f"offer {offered}: name their time column with `timestamp_column`, or train the teacher on these data"
            )

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of all that its signal depends on beside the windows."""


class ForecastOnly(FrozenTeacher):
    """A teacher without its feature: its signal, stored or live, is the forecast alone."""

    def __init__(self, teacher: FrozenTeacher):
        super().__init__()
        self.teacher = teacher
        self.name = teacher.name
        self.prediction_length = teacher.prediction_length
        self.num_time_features = teacher.num_time_features
        self.eval()

    @torch.no_grad()
    def forward(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **time_features: Any
    ) -> TeacherSignal:
        return self.teacher(past_values, past_observed_mask, **time_features)._replace(feature=None)

    @property
    def hub_ids(self) -> list[str]:
        return self.teacher.hub_ids

    @property
    def licences(self) -> list[dict[str, str]]:
        return self.teacher.licences

    def check_fits(self, context_length: int, prediction_length: int, num_input_channels: int) -> None:
        self.teacher.check_fits(context_length, prediction_length, num_input_channels)

    def fingerprint(self) -> str:
        """A hash of the teacher's own."""
        return fingerprint_of((type(self).__name__, self.teacher.fingerprint()), {})


def settings_of(config: PreTrainedConfig) -> str:
    """A configuration as text, without what does not change the model, such as its folder or transformers' version."""
    settings = {name: value for name, value in config.to_dict().items() if name not in _NO_PART_OF_THE_MODEL}
    return json.dumps(settings, sort_keys=True, default=str)


def fingerprint_of(settings: tuple, tensors: dict[str, torch.Tensor]) -> str:
    """A hash of settings (by their `repr`) and of the tensors' names, shapes, types and bytes, in any order."""
    digest = hashlib.sha256(repr(settings).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(repr((name, tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
