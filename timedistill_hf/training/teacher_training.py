"""Train a teacher of a known family on prepared data."""

from pathlib import Path

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
    **training_overrides,
) -> Teacher:
    """Build, train and freeze a teacher; where `output_dir` already holds the finished one, load it.

    Args:
        family_name: `"patchtst"`, `"itransformer"`, ...: see `timedistill_hf.teachers.FAMILIES`.
        data: from [`make_windows`].
        output_dir: checkpoints while training, then weights, configuration and processor.
        config: fields of the family's configuration to change, such as `{"d_model": 32}`.
        args: all training arguments; without them the family's defaults, changed by `training_overrides`.

    Raises:
        InputError: unknown family, or configuration fields that it does not have.
    """
    family = get_family(family_name)
    if args is None:
        args = ForecastTrainingArguments(output_dir=str(output_dir), **(family.training_defaults | training_overrides))

    def build() -> PreTrainedModel:
        return family.model_class(build_config(family, data, config or {}))

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
    if (folder / WEIGHTS).exists():
        if not settings.overwrite:
            raise InputError(
                f"{str(folder)!r} holds a teacher already: name another --output_dir, or pass --overwrite"
            )
        if args.should_save:
            RunFolder(folder).clear()
    data = data_settings.load()
    teacher = train_teacher(settings.teacher, data, folder, config=settings.teacher_fields(), args=args)
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
        return family.config(**data.shape, **overrides)
    except (TypeError, ValueError, StrictDataclassError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"configuration of the teacher {family.model_type}: {reason}") from error
