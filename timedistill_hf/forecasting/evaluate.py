"""Score a model that was saved with its processor."""

import torch
from transformers import PreTrainedModel

from ..data import load_data
from ..data.processor import TimeDistillProcessor
from ..evaluation.controls import SeasonalNaive
from ..evaluation.report import results_of
from ..evaluation.results import Results
from ..settings.run import DataSettings, EvaluateSettings
from ..teachers import Teacher
from ..teachers.loading import check_fits, commit_of_model, find_processor, load_model


def evaluate_saved_model(data_settings: DataSettings, settings: EvaluateSettings) -> Results:
    """Score the model on all test windows, beside the seasonal naive forecast.

    The model's own lengths and scaler are used; where it has no processor the scaler is fitted on the train rows.

    Returns:
        the model's score under its role, `student` or `teacher`, and that of `seasonal_naive`; `other` names the role.

    Raises:
        InputError: model or data cannot be loaded, or do not fit.
    """
    revision = commit_of_model(settings.model, settings.revision)
    model, role = load_model(settings.model, revision=revision)
    if torch.accelerator.is_available():
        model.to(torch.accelerator.current_accelerator())
    processor = find_processor(settings.model, revision=revision)
    if processor is not None:
        check_fits(model, processor)
    look_back, horizon = _lengths(model, processor)
    data = load_data(data_settings, context_length=look_back, prediction_length=horizon, processor=processor)
    horizon = data.processor.prediction_length
    if isinstance(model, Teacher):
        model = model.cut(horizon)
        data = model.prepare(data)
        model.check_time_features(data.num_time_features)
    models = {role: model, "seasonal_naive": SeasonalNaive(data.series.season, horizon)}
    results = results_of(data, models, settings.batch_size) | {"role": role, "model": settings.model}
    found = Results.from_dict(results)
    if settings.output is not None:
        found.to_json(settings.output)
    return found


def _lengths(
    model: PreTrainedModel | Teacher, processor: TimeDistillProcessor | None
) -> tuple[int | None, int | None]:
    """Look-back and horizon to score the model on; `None` where the settings say."""
    if processor is not None:
        return processor.context_length, processor.prediction_length
    if not isinstance(model, Teacher):
        return model.config.context_length, model.config.prediction_length
    return model.family.look_back(model.config), None if model.family.rolls_out else model.prediction_length
