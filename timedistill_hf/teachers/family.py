"""A family of forecasters: how a model of it is built, trained by default, and read as a teacher."""

from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from .._utils.errors import InputError
from .signal import TeacherSignal


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


class TeacherFamily:
    """One forecasting family: how it is built, trained by default, and read as a teacher. One file each.

    What is here fits a model of `past_values`, `past_observed_mask` and `prediction_outputs` that runs on its own
    lengths and any channels, and mixes these; a family says what is otherwise.

    Attributes:
        model_type: the `model_type` of its configuration.
        model_class: the class with `from_pretrained`.
        config_class: of its configuration.
        training_defaults: `ForecastTrainingArguments` fields that train it well; empty where it is not trained here.
        wants_time_features: whether one built here is to be given calendar features, where the data have timestamps.
        checkpoint: a trained model of a family that is used as it is and not trained here; empty for all others.
        rolls_out: whether it forecasts any number of steps, feeding its own forecasts back.
        runs_in_half_precision: whether it computes in bfloat16; one that does not is kept in float32.
        feature_name: the output's field that is the feature.
        feature_layout: dimensions of the feature that `signal` gives, such as `"B C N d"` where it has N patches.
        feature_pooling: how patches become one vector a channel unless told otherwise, see [`pool_feature`].
    """

    model_type: str
    model_class: type[PreTrainedModel]
    config_class: type[PreTrainedConfig]
    training_defaults: dict = {}
    wants_time_features: bool = False
    checkpoint: str = ""
    rolls_out: bool = False
    runs_in_half_precision: bool = True
    feature_name: str = "last_hidden_state"
    feature_layout: str = "B C d"
    feature_pooling: str = "flatten"

    def settings(self, context_length: int, prediction_length: int) -> dict:
        """The configuration's fields that are not its class's own defaults, beside lengths and channels."""
        return {}

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides: Any
    ) -> PreTrainedConfig:
        """The configuration for data of that shape, some fields changed."""
        fields = self.settings(context_length, prediction_length) | overrides
        return self.config_class(
            context_length=context_length,
            prediction_length=prediction_length,
            num_input_channels=num_input_channels,
            **fields,
        )

    def signal(
        self, model: PreTrainedModel, past_values: torch.Tensor, past_observed_mask: torch.Tensor | None, **inputs: Any
    ) -> TeacherSignal:
        """The model's forecast and feature for a batch.

        `inputs` hold `prediction_length`, the steps that are wanted, for a family that rolls out, and the calendar
        features for one that takes them.
        """
        output = model(past_values=past_values, past_observed_mask=past_observed_mask)
        return TeacherSignal(output.prediction_outputs, output[self.feature_name])

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
        """Whether the forecast of a channel depends on that channel alone."""
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
        """A note for the log on how such a model forecasts; may be empty."""
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
                    f"pass `{name}={teacher}`, or train a teacher with {name}={task}"
                )
