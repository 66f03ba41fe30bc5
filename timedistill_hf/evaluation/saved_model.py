"""Score a model that was saved with its processor."""

import dataclasses

from ..cli.settings import DataSettings, EvaluateSettings
from ..errors import InputError
from ..files import write_json
from ..processor import TimeDistillProcessor
from ..student import TimeDistillConfig
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
    model, role = _load(settings.model)
    try:
        processor = TimeDistillProcessor.from_pretrained(settings.model)
    except OSError:
        processor = None
    data = data_settings.load(
        context_length=model.config.context_length,
        prediction_length=model.config.prediction_length,
        processor=processor,
    )
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
        "hardware": hardware(),
        "versions": versions(),
    }
    if settings.output is not None:
        write_json(settings.output, results)
    return results


def _load(name_or_path: str):
    from transformers import AutoConfig

    from ..student import TimeDistillForPrediction
    from ..teachers import load_teacher, load_weights

    try:
        config = AutoConfig.from_pretrained(name_or_path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"model {name_or_path!r} is no folder or Hub model that can be read: {reason}") from error
    if isinstance(config, TimeDistillConfig):
        return load_weights(TimeDistillForPrediction, name_or_path).eval(), "student"
    return load_teacher(name_or_path), "teacher"
