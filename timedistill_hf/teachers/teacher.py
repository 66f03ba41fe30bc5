"""One trained model as a teacher."""

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from .._utils.errors import InputError
from .._utils.hub import hub_origin
from .._utils.licences import licence_of
from .family import TeacherFamily
from .frozen import FrozenTeacher, fingerprint_of, settings_of
from .signal import TeacherSignal, check_pooling, pool_feature


logger = logging.getLogger(__name__)


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
        self, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None = None, **time_features: Any
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

    def _precision(self, device: torch.device) -> AbstractContextManager:
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

    def fingerprint(self) -> str:
        """A hash of family, configuration, weights, the steps asked for and the feature's pooling."""
        asked = (self.prediction_length, self.feature_pooling)
        return fingerprint_of((self.name, *asked, settings_of(self.config)), self.model.state_dict())
