"""ModernTCN of this package as a teacher."""

from ...models import ModernTCNConfig, ModernTCNForPrediction
from ..family import PUBLISHED_TRAINING, TeacherFamily


class ModernTCNFamily(TeacherFamily):
    """Convolution over time and mixing of channels, of the size published for ETTh1.

    The feature is the last hidden state of every patch.
    """

    model_type = "modern_tcn"
    model_class = ModernTCNForPrediction
    config_class = ModernTCNConfig
    feature_layout = "B C d N"
    training_defaults = PUBLISHED_TRAINING | {"num_train_epochs": 4, "early_stopping_patience": 20}

    def channels(self, config: ModernTCNConfig) -> int:
        return config.num_input_channels


FAMILY = ModernTCNFamily()
