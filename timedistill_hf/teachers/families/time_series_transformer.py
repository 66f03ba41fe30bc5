"""The encoder-decoder Transformer of transformers as a teacher (Vaswani et al., 2017, arXiv 1706.03762)."""

from transformers import TimeSeriesTransformerConfig

from ...models.mean_prediction import TimeSeriesTransformerForMeanPrediction
from .lagged import LaggedFamily


class TimeSeriesTransformerFamily(LaggedFamily):
    """Informer without its distillation of the encoder's steps."""

    model_type = "time_series_transformer"
    model_class = TimeSeriesTransformerForMeanPrediction
    config_class = TimeSeriesTransformerConfig
    sizes = {"encoder_layers": 1}  # half the time of two, which is that of attention over all steps


FAMILY = TimeSeriesTransformerFamily()
