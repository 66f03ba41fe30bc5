"""Train a teacher of a known family on prepared data."""

import dataclasses
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from huggingface_hub import ModelCard
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig, PreTrainedModel

from .._utils.errors import InputError, did_you_mean, listed
from .._utils.files import read_json, write_json
from .._utils.run_folder import HISTORY, RunFolder
from ..cards import Trained, save_card, trained_card
from ..data import load_data
from ..data.windows import ForecastData
from ..evaluation.evaluate_model import evaluate_model
from ..hub.publishing import prepare_run, publish_run
from ..settings.building import build, check_names
from ..settings.run import DataSettings, TeacherSettings
from ..teachers import Teacher, TeacherFamily, get_family, trainable_families
from .arguments import ForecastTrainingArguments
from .derived import derive, windows_per_batch, within_memory
from .forecast_trainer import ForecastTrainer
from .stages import WEIGHTS, run_stage


_CONFIG_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
    StrictDataclassError,
)  # fmt: skip


logger = logging.getLogger(__name__)


def train_teacher(
    family_name: str,
    data: ForecastData,
    output_dir: str | Path,
    *,
    config: dict | None = None,
    args: ForecastTrainingArguments | None = None,
    overwrite: bool = False,
    **training_overrides: Any,
) -> Teacher:
    """Build, train and freeze a teacher; where `output_dir` already holds the finished one, load it.

    Args:
        family_name: `"patchtst"`, `"itransformer"`, ...: see `timedistill_hf.teachers.FAMILIES`.
        data: from [`make_windows`].
        output_dir: checkpoints while training, then weights, configuration and processor.
        config: fields of the family's configuration to change, such as `{"d_model": 32}`.
        overwrite: begin anew where `output_dir` holds a finished teacher, or another one.
        args: all training arguments; without them the family's defaults, changed by `training_overrides`.

    Raises:
        InputError: unknown family, configuration fields that it does not have, or an `output_dir` that holds something
            else than this teacher trained on these data with these settings.
    """
    family = get_family(family_name)
    if args is not None and training_overrides:
        raise InputError(
            f"args and {', '.join(training_overrides)}: give one or the other, overrides are for defaults"
        )
    if args is not None and Path(args.output_dir) != Path(output_dir):
        args = derive(args, type(args), output_dir, {})
    if args is None:
        args = ForecastTrainingArguments(output_dir=str(output_dir), **(family.training_defaults | training_overrides))
    if args.push_to_hub:
        raise InputError("push_to_hub: publish the finished teacher's folder, with timedistill_hf.hub.publish")
    args = within_memory(args, data.num_input_channels)
    data = data.with_time_features() if family.wants_time_features else data
    family_config = build_config(family, data, config or {})
    identity = {
        "data_fingerprint": data.series.fingerprint(),
        "rows": dataclasses.asdict(data.split),
        **{
            f"config.{name}": value
            for name, value in family_config.to_dict().items()
            if name != "transformers_version"
        },
        **args.identity(),
    }
    folder = RunFolder(Path(output_dir))
    folder.check(identity, overwrite=overwrite, finished=None)
    remark = family.remark(family_config)
    if remark:
        logger.info("Teacher %s: %s", family_name, remark)

    def build() -> PreTrainedModel:
        return family.model_class(family_config)

    def make_trainer(model: PreTrainedModel) -> ForecastTrainer:
        forced = family.trains_on_future(family_config)
        return ForecastTrainer(model=model, args=args, teacher_forcing=forced, **data.for_trainer())

    PartialState().wait_for_everyone()
    with folder.locked() if args.should_save else nullcontext():
        if args.should_save:
            folder.start(identity, overwrite=overwrite, finished=WEIGHTS)
        PartialState().wait_for_everyone()
        return Teacher(run_stage(f"teacher {family_name}", output_dir, build, make_trainer, args.seed), family)


def train_and_score_teacher(given: Mapping) -> dict:
    """Train a teacher and score it on the test windows.

    With `push_to_hub` it is published then, also one that was finished before.

    Args:
        given: fields of [`DataSettings`], [`TeacherSettings`] and [`ForecastTrainingArguments`] by name; the family's
            defaults hold for what is not given, and `output_dir="runs/teacher"`.

    Returns:
        the score, and its `output_dir`, on the main process; `{}` elsewhere.

    Raises:
        InputError: a setting is not known; or `output_dir` holds a finished teacher and `overwrite` is off.
    """
    check_names(given, DataSettings, TeacherSettings, ForecastTrainingArguments)
    defaults = get_family(given.get("teacher", TeacherSettings.teacher)).training_defaults
    data_settings, settings = build(DataSettings, given), build(TeacherSettings, given)
    args = build(ForecastTrainingArguments, {"output_dir": "runs/teacher", **defaults, **given})
    folder = Path(args.output_dir)
    if (folder / WEIGHTS).exists() and not settings.overwrite and not args.push_to_hub:
        raise InputError(
            f"{str(folder)!r} holds a teacher already: name another `output_dir`, or pass `overwrite=True`"
        )
    args.check_metric()
    data = load_data(data_settings)
    prepare_run(args)
    own = derive(args, ForecastTrainingArguments, folder, {})  # what the stage saves is published when it is finished
    own = windows_per_batch(own, data.num_input_channels, settings.series_per_batch)
    teacher = train_teacher(
        settings.teacher, data, folder, config=settings.teacher_fields(), args=own, overwrite=settings.overwrite
    )
    if not args.should_save:
        return {}
    data = data.for_teacher(teacher.num_time_features)
    score = evaluate_model(teacher.to(args.device), data, data.test, batch_size=args.eval_batch_size, label="teacher")
    save_card(_card(teacher, data, args, score), folder)
    write_json(folder / "results.json", {"models": {"teacher": score}, "data": data.series.name})
    if args.push_to_hub:
        publish_run(args)
    return score | {"output_dir": str(folder)}


def _card(teacher: Teacher, data: ForecastData, args: ForecastTrainingArguments, score: dict) -> ModelCard:
    """As the trainer wrote it, and the errors on the test windows."""
    folder = Path(args.output_dir)
    log_history = read_json(folder / HISTORY, [])
    last = log_history[-1] if log_history else {}
    trained = Trained(
        config=teacher.config,
        parameters=teacher.model.num_parameters(),
        processor=data.processor,
        args=args,
        log_history=log_history,
        steps=last.get("step", 0),
        epochs=last.get("epoch"),
        windows={name: len(getattr(data, name)) for name in ("train", "validation", "test")},
        test={name: score[name] for name in ("mse", "mae")},
    )
    return trained_card(trained, args.hub_model_id or folder.resolve().name)


def build_config(family: TeacherFamily, data: ForecastData, overrides: dict) -> PreTrainedConfig:
    """The family's configuration for these data, some fields changed; an [`InputError`] names what does not fit."""
    if family.checkpoint:
        raise InputError(
            f"{family.model_type} is not trained here but used as it is: give the folder or Hub id of a trained one, "
            f"such as {family.checkpoint}, or a family to train ({', '.join(trainable_families())})"
        )
    if family.wants_time_features:
        overrides = {"num_time_features": data.with_time_features().num_time_features} | overrides
    given = f" with {overrides}" if overrides else ""
    try:
        _check_fields(family, data, overrides)
        config = family.config(**data.shape, **overrides)
        with torch.device("meta"):
            family.model_class(config)
        return config
    except InputError:
        raise
    except _CONFIG_ERRORS as error:
        reason = str(error).strip().splitlines()[-1].strip().removeprefix("ValueError: ").removeprefix("TypeError: ")
        raise InputError(
            f"configuration of the teacher {family.model_type}{given}: {reason}; change or leave out that field"
        ) from error


def _check_fields(family: TeacherFamily, data: ForecastData, overrides: dict) -> None:
    """Raise where a field is not one of the family's own, or is a count below 1."""
    common = PreTrainedConfig().to_dict()
    known = {name: value for name, value in family.config(**data.shape).to_dict().items() if name not in common}
    for name, value in overrides.items():
        if name in data.shape:
            raise InputError(f"teacher_config sets {name}={value!r}, which the run itself sets: leave it out")
        if name not in known:
            nearest = did_you_mean(name, known, f": it has {listed(sorted(known), most=50)}")
            raise InputError(f"{family.model_type} has no configuration field {name!r}{nearest}")
        is_count = type(known[name]) is int and known[name] > 0
        if is_count and type(value) is int and value < 1:
            raise InputError(f"configuration of the teacher {family.model_type}: {name}={value}, expected 1 or more")
