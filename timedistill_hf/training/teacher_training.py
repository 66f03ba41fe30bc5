"""Train a teacher of a known family on prepared data."""

import dataclasses
from pathlib import Path

import torch
from accelerate import PartialState
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig, PreTrainedModel

from ..cli.settings import DataSettings, TeacherSettings
from ..data.windows import ForecastData
from ..errors import InputError
from ..evaluation.evaluate_model import evaluate_model
from ..files import write_json
from ..run_folder import RunFolder
from ..teachers import Teacher, TeacherFamily, get_family
from .arguments import ForecastTrainingArguments
from .forecast_trainer import ForecastTrainer
from .stages import WEIGHTS, run_stage


def train_teacher(
    family_name: str,
    data: ForecastData,
    output_dir: str | Path,
    *,
    config: dict | None = None,
    args: ForecastTrainingArguments | None = None,
    overwrite: bool = False,
    **training_overrides,
) -> Teacher:
    """Build, train and freeze a teacher; where `output_dir` already holds the finished one, load it.

    Args:
        family_name: `"patchtst"`, `"itransformer"`, ...: see `timedistill_hf.teachers.FAMILIES`.
        data: from [`make_windows`].
        output_dir: checkpoints while training, then weights, configuration and processor.
        config: fields of the family's configuration to change, such as `{"d_model": 32}`.
        overwrite: begin anew where `output_dir` holds a teacher, finished or not.
        args: all training arguments; without them the family's defaults, changed by `training_overrides`.

    Raises:
        InputError: unknown family, configuration fields that it does not have, or an `output_dir` that holds something
            else than this teacher trained on these data with these settings.
    """
    family = get_family(family_name)
    if args is None:
        args = ForecastTrainingArguments(output_dir=str(output_dir), **(family.training_defaults | training_overrides))
    family_config = build_config(family, data, config or {})
    identity = {
        "data": data.series.fingerprint(),
        "rows": dataclasses.asdict(data.split),
        **{
            f"config.{name}": value
            for name, value in family_config.to_dict().items()
            if name != "transformers_version"
        },
        **args.to_sanitized_dict(),
    }
    folder = RunFolder(Path(output_dir))
    folder.check(identity, overwrite=overwrite, finished=None)
    PartialState().wait_for_everyone()
    if args.should_save:
        folder.start(identity, overwrite=overwrite)
    PartialState().wait_for_everyone()

    def build() -> PreTrainedModel:
        return family.model_class(family_config)

    def make_trainer(model: PreTrainedModel) -> ForecastTrainer:
        return ForecastTrainer(model=model, args=args, **data.for_trainer())

    return Teacher(run_stage(f"teacher {family_name}", output_dir, build, make_trainer, args.seed), family)


def train_and_score_teacher(
    data_settings: DataSettings, settings: TeacherSettings, args: ForecastTrainingArguments
) -> dict:
    """Train the teacher into `args.output_dir` and score it on the test windows (on the main process; `{}` elsewhere).

    Raises:
        InputError: `output_dir` holds a finished teacher and `overwrite` is off.
    """
    folder = Path(args.output_dir)
    if (folder / WEIGHTS).exists() and not settings.overwrite:
        raise InputError(f"{str(folder)!r} holds a teacher already: name another --output_dir, or pass --overwrite")
    data = data_settings.load()
    teacher = train_teacher(
        settings.teacher, data, folder, config=settings.teacher_fields(), args=args, overwrite=settings.overwrite
    )
    if not args.should_save:
        return {}
    score = evaluate_model(teacher.to(args.device), data, data.test, batch_size=args.eval_batch_size, label="teacher")
    write_json(folder / "results.json", {"models": {"teacher": score}, "data": data.series.name})
    return score


def build_config(family: TeacherFamily, data: ForecastData, overrides: dict) -> PreTrainedConfig:
    """The family's configuration for these data, some fields changed; an [`InputError`] names what does not fit."""
    known = family.config(**data.shape).to_dict()
    unknown = sorted(set(overrides) - set(known))
    if unknown:
        raise InputError(f"{family.model_type} has no configuration field {unknown[0]!r}: it has {sorted(known)}")
    try:
        config = family.config(**data.shape, **overrides)
        with torch.device("meta"):
            family.model_class(config)
        return config
    except (AssertionError, RuntimeError, TypeError, ValueError, StrictDataclassError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"configuration of the teacher {family.model_type}: {reason}") from error
