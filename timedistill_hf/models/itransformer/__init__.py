"""iTransformer (Liu et al., ICLR 2024, arXiv 2310.06625)."""

from .configuration_itransformer import ITransformerConfig
from .modeling_itransformer import ITransformerForPrediction, ITransformerOutput


__all__ = ["ITransformerConfig", "ITransformerForPrediction", "ITransformerOutput"]
