"""Saved models, whatever they are: a student or a teacher, and the processor beside it."""

import logging
from typing import TYPE_CHECKING

from transformers import PreTrainedModel

from .adapters import ADAPTERS, adapter_of, student_class
from .errors import InputError
from .processor import TimeDistillProcessor
from .teachers import Teacher, load_teacher, load_weights, read_config


if TYPE_CHECKING:
    from .data.windows import ForecastData

logger = logging.getLogger(__name__)


def load_model(name_or_path: str, *, revision: str | None = None, **kwargs) -> tuple[PreTrainedModel | Teacher, str]:
    """A saved model in evaluation mode (safetensors only), and what it is: `"student"` or `"teacher"`.

    Args:
        name_or_path: a folder or a Hub id.
        kwargs: for the model's `from_pretrained`.

    Raises:
        InputError: there is no such model, or it is neither a student nor of a known teacher family.
    """
    name_or_path = str(name_or_path)
    config = read_config(name_or_path, f"model {name_or_path!r} is no folder or Hub model that can be read", revision)
    if config.model_type in ADAPTERS:
        return load_weights(student_class(config.model_type), name_or_path, revision, **kwargs).eval(), "student"
    return load_teacher(name_or_path, revision=revision, **kwargs), "teacher"


def load_teacher_for(name_or_path: str, data: "ForecastData") -> Teacher:
    """A trained teacher that fits these data: lengths, channels in their order, calendar features.

    One that forecasts more steps than the data's horizon is cut to it. Warns where its own data were standardised
    otherwise, or are not known.

    Raises:
        InputError: it cannot be loaded, or does not fit.
    """
    teacher = load_teacher(name_or_path).cut(data.processor.prediction_length)
    teacher.check_fits(**data.shape)
    teacher.check_time_features(data.for_teacher(teacher.num_time_features).num_time_features)
    try:
        processor = TimeDistillProcessor.from_pretrained(name_or_path)
    except OSError:
        logger.warning("Teacher %r has no processor: on which columns it was trained is not known", name_or_path)
        return teacher
    if teacher.family.channels(teacher.config) is not None:
        processor.check_columns(data.series.columns)
    if not processor.has_scaler_of(data.processor):
        logger.warning("Teacher %r was trained on data that were standardised otherwise", name_or_path)
    return teacher


def load_processor(name_or_path: str, *, revision: str | None = None) -> TimeDistillProcessor:
    """The processor that was saved beside a model; an [`InputError`] where there is none, or it is broken."""
    try:
        return TimeDistillProcessor.from_pretrained(name_or_path, revision=revision)
    except OSError as error:
        raise InputError(
            f"model {name_or_path!r} has no processor (preprocessor_config.json), so its columns and scaler are "
            "unknown: save the one of its training there, with processor.save_pretrained"
        ) from error


def check_fits(model: PreTrainedModel | Teacher, processor: TimeDistillProcessor) -> None:
    """Raise an [`InputError`] where lengths or channels show that the processor is that of another model."""
    channels = len(processor.columns)
    if isinstance(model, Teacher):
        if model.prediction_length != processor.prediction_length:
            raise InputError(
                f"the teacher ({model.name}) forecasts {model.prediction_length} steps, its processor "
                f"{processor.prediction_length}: save the processor of its training beside it"
            )
        model.check_fits(processor.context_length, processor.prediction_length, channels)
        return
    config = model.config
    of_model = (config.context_length, config.prediction_length)
    of_processor = (processor.context_length, processor.prediction_length)
    bound_to = adapter_of(model).channels(config)
    if of_model != of_processor or bound_to not in (None, channels):
        raise InputError(
            f"the model goes from {of_model[0]} to {of_model[1]} steps of {config.num_input_channels} channels, its "
            f"processor from {of_processor[0]} to {of_processor[1]} of {channels}: save the processor of its training "
            "beside it"
        )
