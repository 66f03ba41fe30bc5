"""TimeMixer of this package as a teacher."""

from typing import Any

from ...models import TimeMixerConfig, TimeMixerForPrediction
from ..family import PUBLISHED_TRAINING, TeacherFamily


class TimeMixerFamily(TeacherFamily):
    """MLPs over a window at several scales; the feature is the sum of their forecasts, before it is scaled back."""

    model_type = "time_mixer"
    model_class = TimeMixerForPrediction
    config_class = TimeMixerConfig
    feature_name = "feature"
    training_defaults = PUBLISHED_TRAINING | {
        "learning_rate": 1e-2,  # its own paper's
        "num_train_epochs": 5,
        "early_stopping_patience": 5,
    }

    def config(
        self, context_length: int, prediction_length: int, num_input_channels: int, **overrides: Any
    ) -> TimeMixerConfig:
        """The size published for ETTh1, but 1 block for the published 2; fewer scales in a short look-back."""
        window, scales = overrides.get("pooling_window", 2), 0
        while scales < 3 and context_length // window ** (scales + 1) >= 2:
            scales += 1
        settings = {"num_hidden_layers": 1, "num_scales": scales}
        return super().config(context_length, prediction_length, num_input_channels, **(settings | overrides))

    def channels(self, config: TimeMixerConfig) -> int | None:
        return config.num_input_channels if config.is_channel_bound else None


FAMILY = TimeMixerFamily()
