"""Distil heavy forecasters into small ones, the Hugging Face way (TimeDistill, arXiv 2502.15016).

Importing the package registers its models with transformers' Auto classes and its pipeline; everything heavier
(Trainer, datasets, pandas, matplotlib) is imported where it is first used.
"""

from importlib import import_module

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForTimeSeriesPrediction
from transformers.pipelines import PIPELINE_REGISTRY

from .models.itransformer import ITransformerConfig, ITransformerForPrediction
from .models.light_ts import LightTSConfig, LightTSForPrediction
from .models.modern_tcn import ModernTCNConfig, ModernTCNForPrediction
from .models.time_mixer import TimeMixerConfig, TimeMixerForPrediction
from .models.timesnet import TimesNetConfig, TimesNetForPrediction
from .processor import TimeDistillProcessor
from .student import TimeDistillConfig, TimeDistillForPrediction, fuse
from .student.pipeline_timedistill import TASK, TimeSeriesForecastingPipeline


__version__ = "0.1.0"

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

_LAZY = {
    "backtest": ".evaluation.backtest",
    "Forecaster": ".forecaster",
    "CallableTeacher": ".teachers.callable",
    "ForecastTrainer": ".training.forecast_trainer",
    "ForecastTrainingArguments": ".training.arguments",
    "StudentAdapter": ".adapters",
    "Teacher": ".teachers",
    "TimeDistillObjective": ".objective",
    "TimeDistillTrainer": ".training.trainer",
    "TimeDistillTrainingArguments": ".training.arguments",
    "forecast_fleet": ".fleet",
    "load_series": ".data",
    "load_teacher": ".teachers",
    "make_windows": ".data",
    "signal_from_table": ".teachers.table",
    "store_signal": ".teachers.store",
    "train_teacher": ".training.teacher_training",
    "write_forecasts": ".teachers.writing",
}

__all__ = [
    "ITransformerConfig",
    "ITransformerForPrediction",
    "LightTSConfig",
    "LightTSForPrediction",
    "ModernTCNConfig",
    "ModernTCNForPrediction",
    "TimeDistillConfig",
    "TimeDistillForPrediction",
    "TimeDistillProcessor",
    "TimeMixerConfig",
    "TimeMixerForPrediction",
    "TimesNetConfig",
    "TimesNetForPrediction",
    "TimeSeriesForecastingPipeline",
    "fuse",
    *_LAZY,
]


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
