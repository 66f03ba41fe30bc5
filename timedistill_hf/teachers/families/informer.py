"""Informer of transformers as a teacher (Zhou et al., AAAI 2021, arXiv 2012.07436)."""

from transformers import InformerConfig

from ..._utils.errors import InputError
from ...models.mean_prediction import InformerForMeanPrediction
from .lagged import LaggedFamily


class InformerFamily(LaggedFamily):
    """Full attention over time: the ProbSparse one draws random numbers and, in transformers, sees the future."""

    model_type = "informer"
    model_class = InformerForMeanPrediction
    config_class = InformerConfig
    sizes = {"attention_type": "full"}

    def check_usable(self, config: InformerConfig) -> None:
        """Raise where a forecast would be random, see the future, or need inputs that the data do not have."""
        if config.attention_type != "full":
            raise InputError(
                f"informer with attention_type={config.attention_type!r}: its forecasts are random and see the "
                "future; a teacher needs attention_type='full'"
            )
        super().check_usable(config)


FAMILY = InformerFamily()
