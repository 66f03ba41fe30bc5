"""Score a model that was saved with its processor."""

import dataclasses

import torch

from ..cli.settings import DataSettings, EvaluateSettings
from ..files import write_json
from ..loading import check_fits, commit_of_model, find_processor, load_model
from ..teachers import Teacher
from .controls import SeasonalNaive
from .evaluate_model import score_model
from .report import hardware, versions


def evaluate_saved_model(data_settings: DataSettings, settings: EvaluateSettings) -> dict:
    """Score the model on all test windows, beside the seasonal naive forecast.

    The model's own lengths and scaler are used; where it has no processor the scaler is fitted on the train rows.

    Returns:
        `models` (the model under its `role`, `student` or `teacher`, and `seasonal_naive`), data, versions.

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
    look_back = model.family.look_back(model.config) if isinstance(model, Teacher) else model.config.context_length
    data = data_settings.load(
        context_length=look_back if processor is None else processor.context_length,
        prediction_length=model.config.prediction_length,
        processor=processor,
    )
    if isinstance(model, Teacher):
        data = data.for_teacher(model.num_time_features)
        model.check_time_features(data.num_time_features)
    models = {role: model, "seasonal_naive": SeasonalNaive(data.series.season, model.config.prediction_length)}
    results = {
        "role": role,
        "model": settings.model,
        "models": {
            name: score_model(candidate, data, batch_size=settings.batch_size, label=name)
            for name, candidate in models.items()
        },
        "data": {
            "name": data.series.name,
            "note": data.series.note,
            "fingerprint": data.series.fingerprint(),
            "rows": dataclasses.asdict(data.split),
            "windows": len(data.test),
        },
        "hardware": hardware(next(model.parameters()).device),
        "versions": versions(),
    }
    if settings.output is not None:
        write_json(settings.output, results)
    return results
