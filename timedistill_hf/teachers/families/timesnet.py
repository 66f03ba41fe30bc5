"""TimesNet of this package as a teacher."""

from ...models import TimesNetConfig, TimesNetForPrediction
from ..family import PUBLISHED_TRAINING, TeacherFamily


class TimesNetFamily(TeacherFamily):
    """Convolution of a window folded by its periods; the feature is the last d_model steps of each channel.

    The published implementation of TimeDistill takes the last d_model positions. TimesNet's hidden state mixes all
    channels, so that these can only be positions of what has channels: the projected series of past and future.
    """

    model_type = "timesnet"
    model_class = TimesNetForPrediction
    config_class = TimesNetConfig
    feature_name = "feature"
    training_defaults = PUBLISHED_TRAINING | {"num_train_epochs": 5, "early_stopping_patience": 5}

    def settings(self, context_length: int, prediction_length: int) -> dict:
        """The size published for ETTh1, but with 3 periods and 4 kernels for the published 5 and 6."""
        return {"num_periods": 3, "num_kernels": 4}

    def channels(self, config: TimesNetConfig) -> int:
        return config.num_input_channels


FAMILY = TimesNetFamily()
