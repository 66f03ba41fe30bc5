"""Importing this module registers the package's models with transformers' Auto classes, and its pipeline."""

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForTimeSeriesPrediction
from transformers.pipelines import PIPELINE_REGISTRY

from .data.processor import TimeDistillProcessor
from .models import (
    ITransformerConfig,
    ITransformerForPrediction,
    LightTSConfig,
    LightTSForPrediction,
    ModernTCNConfig,
    ModernTCNForPrediction,
    TimeMixerConfig,
    TimeMixerForPrediction,
    TimesNetConfig,
    TimesNetForPrediction,
)
from .student import TimeDistillConfig, TimeDistillForPrediction
from .student.pipeline_timedistill import TASK, TimeSeriesForecastingPipeline


for _config, _model in (
    (TimeDistillConfig, TimeDistillForPrediction),
    (ITransformerConfig, ITransformerForPrediction),
    (ModernTCNConfig, ModernTCNForPrediction),
    (TimesNetConfig, TimesNetForPrediction),
    (TimeMixerConfig, TimeMixerForPrediction),
    (LightTSConfig, LightTSForPrediction),
):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    AutoModel.register(_config, _model, exist_ok=True)
    AutoModelForTimeSeriesPrediction.register(_config, _model, exist_ok=True)
    AutoFeatureExtractor.register(_config, TimeDistillProcessor, exist_ok=True)
    _config.register_for_auto_class()
    _model.register_for_auto_class("AutoModelForTimeSeriesPrediction")

PIPELINE_REGISTRY.register_pipeline(
    TASK, TimeSeriesForecastingPipeline, pt_model=(AutoModelForTimeSeriesPrediction,), type="time"
)
TimeDistillConfig.has_registered_pipeline = True
