"""TimesNet of this package as a teacher."""

import torch

from ...models.timesnet import TimesNetConfig, TimesNetForPrediction
from ..signal import PUBLISHED_TRAINING, TeacherFamily, TeacherSignal


class TimesNetFamily(TeacherFamily):
    """Convolution of a window folded by its periods; the feature is the last d_model steps of each channel.

    The published implementation of TimeDistill takes the last d_model positions. TimesNet's hidden state mixes all
    channels, so that these can only be positions of what has channels: the projected series of past and future.
    """

    model_type = "timesnet"
    model_class = TimesNetForPrediction
    training_defaults = PUBLISHED_TRAINING | {"num_train_epochs": 5, "early_stopping_patience": 5}

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides
    ) -> TimesNetConfig:
        """The size published for ETTh1, but with 3 periods and 4 kernels for the published 5 and 6."""
        return TimesNetConfig(
            context_length=context_length,
            prediction_length=prediction_length,
            num_input_channels=num_input_channels,
            **({"num_periods": 3, "num_kernels": 4} | overrides),
        )

    def signal(
        self,
        model: TimesNetForPrediction,
        past_values: torch.Tensor,
        past_observed_mask: torch.Tensor | None = None,
        **inputs,
    ) -> TeacherSignal:
        output = model(past_values=past_values, past_observed_mask=past_observed_mask)
        return TeacherSignal(output.prediction_outputs, output.feature)

    def channels(self, config: TimesNetConfig) -> int | None:
        return config.num_input_channels


FAMILY = TimesNetFamily()
