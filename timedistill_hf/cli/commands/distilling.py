"""Distillation and its teachers."""

from ...settings.outputs import CacheSettings, WriteForecastsSettings
from ...settings.run import DataSettings, DistillSettings, StudentSettings, TeacherSettings
from ..flags import DISTILL_TRAINING, FORECAST_TRAINING
from ..parsing import parse, parse_given


DISTILL = (DataSettings, StudentSettings, DistillSettings, DISTILL_TRAINING)
_MAIN = (
    "dataset", "data_dir", "context_length", "prediction_length", "split", "timestamp_column", "id_column",
    "target_columns", "season", "missing_value", "freq", "teacher", "overwrite", "config", "output_dir", "seed",
    "push_to_hub",
)  # fmt: skip
_MAIN_OF_DISTILL = (*_MAIN, "recipe", "controls", "alpha", "beta", "learning_rate")
_MAIN_OF_CACHE = (*_MAIN, "recipe", "signal_dir", "signal_dtype", "forecasts_only", "estimate")
_MAIN_OF_TEACHER = (*_MAIN, "teacher_config", "learning_rate", "num_train_epochs", "early_stopping_patience")


def distill(about: str) -> None:
    given = parse_given(DISTILL, description=about, main_flags=_MAIN_OF_DISTILL)

    from ...distillation.distill import distill
    from ..logging import is_main_process, set_up_logging

    set_up_logging()
    given.pop("config", None)
    result = distill(given.pop("dataset", "synthetic"), given.pop("teacher", "itransformer"), **given)
    if is_main_process():
        data, settings = result.results.data, result.results.settings
        note = f" ({data.note})" if data.note else ""
        lengths = f"{settings['context_length']} -> {settings['prediction_length']}"
        print(f"\n{data.name}{note}: {lengths}, all test windows, MSE and MAE of standardised values\n")
        print(result.results.table())
        print(f"\nStudent, card (README.md), plots (*.png) and results.json are in {result.folder}")


def cache_teacher(about: str) -> None:
    given = parse_given((*DISTILL, CacheSettings), description=about, main_flags=_MAIN_OF_CACHE)

    from ...distillation.cache_teacher import cache_teacher
    from ..logging import is_main_process, set_up_logging
    from ..parsing import as_flags

    set_up_logging()
    how = {name: given.pop(name, False) for name in ("forecasts_only", "estimate")}
    summary = cache_teacher(given, **how)
    if is_main_process():
        print(as_flags(summary))


def train_teacher(about: str) -> None:
    types = (DataSettings, TeacherSettings, FORECAST_TRAINING)
    given = parse_given(types, description=about, main_flags=_MAIN_OF_TEACHER)

    from ...training.teacher_training import train_and_score_teacher
    from ..logging import set_up_logging

    set_up_logging()
    score = train_and_score_teacher(given)
    if score:
        errors = f"test MSE {score['mse']:.4f}, MAE {score['mae']:.4f} on standardised values"
        print(f"{errors}; saved in {score['output_dir']}")


def write_forecasts(about: str) -> None:
    data, settings = parse((DataSettings, WriteForecastsSettings), description=about)

    from ...signal_store.writing import write_forecasts_of_saved_model
    from ..logging import set_up_logging

    set_up_logging()
    print(f"Forecasts are in {write_forecasts_of_saved_model(data, settings)}")
