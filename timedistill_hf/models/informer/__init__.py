"""transformers' Informer with a deterministic forecast of its mean."""

from .modeling_informer import InformerForMeanPrediction, InformerMeanOutput


__all__ = ["InformerForMeanPrediction", "InformerMeanOutput"]
