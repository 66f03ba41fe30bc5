"""The seam between teachers and training: whatever teaches gives a signal for a batch of windows."""

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import PreTrainedConfig, PreTrainedModel

from .._utils.errors import InputError
from .._utils.hub_names import hub_origin
from .._utils.licences import licence_of
from ..models.adapters import device_of
from .pooling import check_pooling, pool_feature


if TYPE_CHECKING:
    from ..data.windows import ForecastData

logger = logging.getLogger(__name__)

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

# set by the Trainer, or when a configuration is saved or loaded
_NO_PART_OF_THE_MODEL = ("transformers_version", "_name_or_path", "architectures", "dtype", "auto_map", "use_cache")


class TeacherSignal(NamedTuple):
    """What a teacher says about a batch.

    Args:
        prediction_outputs: `[B, S, C]`, the forecast on the scale of `past_values`.
        feature: `[B, C, d]`, one vector a channel, or `None` where the teacher has none to offer. What a family reads
            may have another layout, which it declares; a [`Teacher`] pools it.
        known: `[B]`, true where the teacher has said something on the window, or `None` where it has on all.
    """

    prediction_outputs: torch.Tensor
    feature: torch.Tensor | None = None
    known: torch.Tensor | None = None

    def in_float32(self) -> "TeacherSignal":
        """The same with forecast and feature in float32, as they are where that is their type."""
        forecast, feature, known = self
        # a data set of one's own may lack the forecast, which the trainer says
        forecast, feature = (part if part is None else part.float() for part in (forecast, feature))
        return TeacherSignal(forecast, feature, known)


class TeacherFamily(ABC):
    """One forecasting family: how it is built, trained by default, and read as a teacher. One file each.

    Attributes:
        model_type: the `model_type` of its configuration.
        model_class: the class with `from_pretrained`.
        training_defaults: `ForecastTrainingArguments` fields that train it well.
        wants_time_features: whether one built here is to be given calendar features, where the data have timestamps.
        checkpoint: a trained model of a family that is used as it is and not trained here; empty for all others.
        rolls_out: whether it forecasts any number of steps, feeding its own forecasts back.
        runs_in_half_precision: whether it computes in bfloat16; one that does not is kept in float32.
        feature_layout: dimensions of the feature that `signal` gives, such as `"B C N d"` where it has N patches.
        feature_pooling: how patches become one vector a channel unless told otherwise, see [`pool_feature`].
    """

    model_type: str
    model_class: type[PreTrainedModel]
    training_defaults: dict
    wants_time_features: bool = False
    checkpoint: str = ""
    rolls_out: bool = False
    runs_in_half_precision: bool = True
    feature_layout: str = "B C d"
    feature_pooling: str = "flatten"

    @abstractmethod
    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides
    ) -> PreTrainedConfig:
        """The configuration for data of that shape, some fields changed."""

    @abstractmethod
    def signal(
        self, model: PreTrainedModel, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None, **inputs
    ) -> TeacherSignal:
        """What the model says of a batch.

        `inputs` hold `prediction_length`, the steps that are wanted, for a family that rolls out, and the calendar
        features for one that takes them.
        """

    @property
    def has_patches(self) -> bool:
        """Whether its feature has a vector for every patch, so that it can be pooled."""
        return "N" in self.feature_layout.split()

    def class_of(self, config: PreTrainedConfig) -> type[PreTrainedModel]:
        """The class of a model of this configuration."""
        return self.model_class

    def channels(self, config: PreTrainedConfig) -> int | None:
        """The number of channels that a model of this configuration is bound to, or `None` for any."""
        return None

    def is_channel_independent(self, config: PreTrainedConfig) -> bool:
        """Whether what it says of a channel depends on that channel alone."""
        return False

    def time_features(self, config: PreTrainedConfig) -> int:
        """How many calendar features a model of this configuration needs."""
        return 0

    def trains_on_future(self, config: PreTrainedConfig) -> bool:
        """Whether the model reads `future_values` while it is trained (teacher forcing)."""
        return False

    def look_back(self, config: PreTrainedConfig) -> int | None:
        """Steps of history that one forecast reads; `None` where any number will do."""
        return config.context_length

    def horizon(self, config: PreTrainedConfig) -> int:
        """Steps that the model forecasts in one go."""
        return config.prediction_length

    def remark(self, config: PreTrainedConfig) -> str:
        """What the log is to say of how such a model forecasts; empty where there is nothing to say."""
        return ""

    def check_lengths(self, config: PreTrainedConfig, context_length: int, prediction_length: int) -> None:
        """Raise an [`InputError`] where the model reads another number of steps, or forecasts fewer."""
        for name, task, fits in (
            ("context_length", context_length, config.context_length == context_length),
            ("prediction_length", prediction_length, config.prediction_length >= prediction_length),
        ):
            if not fits:
                teacher = getattr(config, name)
                raise InputError(
                    f"the teacher ({self.model_type}) has {name}={teacher}, the student and its data {task}: "
                    f"pass --{name} {teacher}, or train a teacher with {name}={task}"
                )


class FrozenTeacher(nn.Module, ABC):
    """What training, store and scoring ask of a teacher, be it one model or several: it only ever forecasts.

    Attributes:
        name: what results call it.
        prediction_length: S, the steps that it forecasts.
        num_time_features: how many calendar features it needs beside the values.
        has_stored_signal: whether its forecasts lie on the disk already, so that it neither runs nor is stored; it
            then has no feature, and only the windows of `windows` and `prepare`.
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
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **time_features
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

    @abstractmethod
    def check_time_features(self, offered: int) -> None:
        """Raise an [`InputError`] where the windows do not offer the calendar features that it needs."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of all that its signal depends on beside the windows."""


class Teacher(FrozenTeacher):
    """One trained model as a teacher: frozen, in evaluation mode, a [`TeacherSignal`] for every batch.

    `feature_pooling` is how it pools its feature, `None` where that has no patches.

    Args:
        model: any precision; the signal is float32.
        family: how the model is read.
        prediction_length: the first so many of the steps that it forecasts are the signal; all of them where `None`. A
            family that rolls out takes any number. The feature is the model's own in either case.
        feature_pooling: `"flatten"`, `"mean"` or `"last"`, for a feature that has patches; the family's default where
            `None`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        family: TeacherFamily,
        prediction_length: int | None = None,
        feature_pooling: str | None = None,
    ):
        super().__init__()
        longest = family.horizon(model.config)
        self.prediction_length = longest if prediction_length is None else prediction_length
        if self.prediction_length < 1 or (self.prediction_length > longest and not family.rolls_out):
            raise InputError(
                f"prediction_length={prediction_length}: the teacher ({family.model_type}) forecasts {longest} steps, "
                f"expected 1 to {longest}"
            )
        if not family.runs_in_half_precision:
            model = model.float()
        if feature_pooling is not None:
            check_pooling(feature_pooling)
        self.feature_pooling = (feature_pooling or family.feature_pooling) if family.has_patches else None
        self.model = model.requires_grad_(False)
        self.family = family
        self.eval()

    @property
    def config(self) -> PreTrainedConfig:
        return self.model.config

    @property
    def name(self) -> str:
        return self.family.model_type

    @property
    def hub_ids(self) -> list[str]:
        origin = hub_origin(self.config)
        return [origin] if origin else []

    @property
    def licences(self) -> list[dict[str, str]]:
        name = self.config.name_or_path
        return [licence_of(name, getattr(self.config, "_commit_hash", None)) if name else {}]

    @property
    def num_time_features(self) -> int:
        return self.family.time_features(self.config)

    def cut(self, prediction_length: int) -> "Teacher":
        """The same model as a teacher of no more than its first `prediction_length` steps.

        One that forecasts fewer gives all it has, which `check_fits` then refuses; one that rolls out gives as many as
        are asked for.
        """
        longest = self.family.horizon(self.config)
        if not self.family.rolls_out:
            prediction_length = min(prediction_length, longest)
        if prediction_length == self.prediction_length:
            return self
        how = "cut to the first" if prediction_length < longest else "rolled out to"
        logger.info("Teacher %s forecasts %d steps: it is %s %d", self.name, longest, how, prediction_length)
        return Teacher(self.model, self.family, prediction_length, self.feature_pooling)

    def pooled(self, feature_pooling: str | None) -> "Teacher":
        """The same model with its feature pooled that way, or as it is where `None`."""
        return Teacher(self.model, self.family, self.prediction_length, feature_pooling or self.feature_pooling)

    @torch.no_grad()
    def forward(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **time_features
    ) -> TeacherSignal:
        if past_observed_mask is not None:
            past_values = past_values.where(past_observed_mask.bool(), 0.0)
        inputs = time_features if self.num_time_features else {}
        inputs = {name: values.to(self.model.dtype) for name, values in inputs.items()}
        if self.family.rolls_out:
            inputs["prediction_length"] = self.prediction_length
        with self._precision(past_values.device):
            past_values = past_values.to(self.model.dtype)
            signal = self.family.signal(self.model, past_values, past_observed_mask, **inputs)
        feature = signal.feature
        if feature is not None:
            feature = pool_feature(feature.float(), self.family.feature_layout, self.feature_pooling)
        return TeacherSignal(signal.prediction_outputs[:, : self.prediction_length].float(), feature)

    def _precision(self, device: torch.device):
        """Keeps the training's autocast away from a model that cannot compute in half precision."""
        if self.family.runs_in_half_precision:
            return nullcontext()
        return torch.autocast(device.type, enabled=False)

    def check_fits(self, context_length: int, prediction_length: int, num_input_channels: int) -> None:
        self.family.check_lengths(self.config, context_length, prediction_length)
        if self.prediction_length != prediction_length:
            raise InputError(
                f"the teacher ({self.name}) forecasts {self.prediction_length} steps, the student and its data "
                f"{prediction_length}: take the steps asked for with teacher.cut({prediction_length})"
            )
        bound_to = self.family.channels(self.config)
        if bound_to is not None and bound_to != num_input_channels:
            raise InputError(
                f"the teacher ({self.name}) was trained on {bound_to} channels, the data have "
                f"{num_input_channels}: train a teacher on these data, or choose the columns that it knows"
            )

    def check_time_features(self, offered: int) -> None:
        if self.num_time_features not in (0, offered):
            raise InputError(
                f"the teacher ({self.name}) needs {self.num_time_features} calendar features, the data "
                f"offer {offered}: give a time column (--timestamp_column), or train the teacher on these data"
            )

    def fingerprint(self) -> str:
        """A hash of family, configuration, weights, the steps asked for and the feature's pooling."""
        asked = (self.prediction_length, self.feature_pooling)
        return fingerprint_of((self.name, *asked, settings_of(self.config)), self.model.state_dict())


class ForecastOnly(FrozenTeacher):
    """A teacher whose features nobody wants: its signal, stored or live, is the forecast alone."""

    def __init__(self, teacher: FrozenTeacher):
        super().__init__()
        self.teacher = teacher
        self.name = teacher.name
        self.prediction_length = teacher.prediction_length
        self.num_time_features = teacher.num_time_features
        self.eval()

    @torch.no_grad()
    def forward(
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **time_features
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

    def check_time_features(self, offered: int) -> None:
        self.teacher.check_time_features(offered)

    def fingerprint(self) -> str:
        """A hash of the teacher's own."""
        return fingerprint_of((type(self).__name__, self.teacher.fingerprint()), {})


def settings_of(config: PreTrainedConfig) -> str:
    """A configuration as text, without what does not change the model: where it lies, which version has written it."""
    settings = {name: value for name, value in config.to_dict().items() if name not in _NO_PART_OF_THE_MODEL}
    return json.dumps(settings, sort_keys=True, default=str)


def fingerprint_of(settings: tuple, tensors: dict[str, torch.Tensor]) -> str:
    """A hash of settings (by their `repr`) and of the tensors' names, shapes, types and bytes, in any order."""
    digest = hashlib.sha256(repr(settings).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(repr((name, tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
