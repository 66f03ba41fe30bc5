"""iTransformer of this package as a teacher."""

from ...models import ITransformerConfig, ITransformerForPrediction
from ..family import PUBLISHED_TRAINING, TeacherFamily


class ITransformerFamily(TeacherFamily):
    """Attention over channels, of the size published for ETTh1; the feature is the variate token of each channel."""

    model_type = "itransformer"
    model_class = ITransformerForPrediction
    config_class = ITransformerConfig
    training_defaults = PUBLISHED_TRAINING | {"num_train_epochs": 10, "early_stopping_patience": 5}


FAMILY = ITransformerFamily()
