"""Distil heavy forecasters into small ones, the Hugging Face way (TimeDistill, arXiv 2502.15016).

Importing the package registers its models with transformers' Auto classes and its pipeline; everything heavier
(Trainer, datasets, pandas, matplotlib) is imported where it is first used. The scripts, which import
`timedistill_start` before it, have their flags read first and the models registered then.
"""

import sys
from importlib import import_module


__version__ = "0.1.0"

_LAZY = {
    "ITransformerConfig": ".models.itransformer",
    "ITransformerForPrediction": ".models.itransformer",
    "LightTSConfig": ".models.light_ts",
    "LightTSForPrediction": ".models.light_ts",
    "ModernTCNConfig": ".models.modern_tcn",
    "ModernTCNForPrediction": ".models.modern_tcn",
    "TimeDistillConfig": ".student",
    "TimeDistillForPrediction": ".student",
    "TimeDistillProcessor": ".data.processor",
    "TimeMixerConfig": ".models.time_mixer",
    "TimeMixerForPrediction": ".models.time_mixer",
    "TimesNetConfig": ".models.timesnet",
    "TimesNetForPrediction": ".models.timesnet",
    "TimeSeriesForecastingPipeline": ".student.pipeline_timedistill",
    "fuse": ".student",
    "backtest": ".forecasting.backtest",
    "Forecaster": ".forecasting.forecaster",
    "CallableTeacher": ".teachers.external",
    "ForecastTrainer": ".training.forecast_trainer",
    "ForecastTrainingArguments": ".training.arguments",
    "StudentAdapter": ".models.adapters",
    "Teacher": ".teachers",
    "TimeDistillObjective": ".objective",
    "TimeDistillTrainer": ".training.trainer",
    "TimeDistillTrainingArguments": ".training.arguments",
    "forecast_fleet": ".forecasting.fleet",
    "load_series": ".data",
    "load_teacher": ".teachers",
    "make_windows": ".data",
    "signal_from_table": ".signal_store.table",
    "store_signal": ".signal_store.store",
    "train_teacher": ".training.teacher_training",
    "write_forecasts": ".signal_store.writing",
}

__all__ = list(_LAZY)


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])


if "timedistill_start" not in sys.modules:
    import_module(".registration", __name__)
