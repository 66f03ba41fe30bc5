"""The card of a model that a Trainer made: a teacher, a student, a fine-tuned model. What is not known is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import ModelCard
from transformers import PreTrainedConfig, Trainer, TrainingArguments

from .. import __version__
from .._utils.hub_names import hub_origin
from .._utils.licences import common_licence, licence_of
from .._utils.run_folder import REGRESSOR_NAME
from ..data.processor import TimeDistillProcessor
from ..objective.multi_scale import scales_that_fit
from ..student import TimeDistillConfig
from .card import (
    CardContent,
    DataSource,
    Measured,
    history_note,
    names,
    plain,
    settings_table,
    shown_repo,
)


if TYPE_CHECKING:
    from ..training.forecast_trainer import Ridge

_ARGUMENTS = (
    "alpha", "beta", "num_scales", "temperature", "kl_reduction", "kl_floor", "teacher_loss", "loss",
    "frequency_weight", "learning_rate", "lr_scheduler_type", "lr_epoch_decay", "weight_decay", "max_grad_norm",
    "per_device_train_batch_size", "gradient_accumulation_steps", "world_size", "early_stopping_patience", "seed",
)  # fmt: skip
_OF_THE_OBJECTIVE = _ARGUMENTS[:7]


@dataclass(frozen=True)
class Trained:
    """What is known of a trained model.

    Args:
        config: of the model.
        parameters: their number, where it can be counted.
        processor: of its data, if it is one of this package.
        args: of the training.
        log_history: as the trainer's state has it.
        ridges: of a model that was solved in closed form, all that were tried.
        steps, epochs: that were trained.
        windows: `"train"` and `"validation"`, how many, as far as known.
        lineage: text on what it was made from.
        base_model: the Hub ids of that.
        test: errors on the test windows, where they were measured.
        licence: that of what it was made from, where all of that has the same; empty where it is not known.
        teachers_licences: of each of them.
    """

    config: PreTrainedConfig
    parameters: int | None = None
    processor: TimeDistillProcessor | None = None
    args: TrainingArguments | None = None
    log_history: Sequence[Mapping] = ()
    ridges: Sequence["Ridge"] = ()
    steps: int = 0
    epochs: float | None = None
    windows: Mapping[str, int] | None = None
    lineage: str = ""
    base_model: Sequence[str] = ()
    is_distilled: bool = False
    test: Mapping[str, float] | None = None
    licence: Mapping[str, str] = field(default_factory=dict)
    teachers_licences: Sequence[Mapping[str, str]] = ()


def trainer_card(
    trainer: Trainer,
    repo: str | None = None,
    *,
    lineage: str = "",
    base_model: Sequence[str] = (),
    is_distilled: bool = False,
    licences: Sequence[Mapping[str, str]] = (),
    **metadata,
) -> ModelCard:
    """The card of what a Trainer trained, from its model, arguments, log and processor.

    Args:
        trainer: any Trainer of a forecaster, transformers' own too.
        repo: Hub id, or the folder's name; the trainer's where `None`.
        lineage, base_model, is_distilled: who taught it, where somebody did.
        licences: of the teachers, as far as known.
        metadata: see [`trained_card`].
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    origin = hub_origin(model.config)
    if model.config.name_or_path:
        lineage = f"{lineage} {_fine_tuned(origin)}".strip()
        licences = [*licences, licence_of(model.config.name_or_path, getattr(model.config, "_commit_hash", None))]
    processor = trainer.processing_class
    trained = Trained(
        config=model.config,
        parameters=None if trainer.is_fsdp_enabled else _own_parameters(model),
        processor=processor if isinstance(processor, TimeDistillProcessor) else None,
        args=trainer.args,
        log_history=trainer.state.log_history,
        ridges=getattr(trainer, "ridges", ()),
        steps=trainer.state.global_step,
        epochs=trainer.state.epoch,
        windows=_windows(trainer),
        lineage=lineage,
        base_model=[*base_model, *([origin] if origin else [])],
        is_distilled=is_distilled,
        test=_logged(trainer.state.log_history, "test"),
        licence=common_licence(licences),
        teachers_licences=licences,
    )
    repo = repo or trainer.hub_model_id or trainer.args.hub_model_id or Path(trainer.args.output_dir).resolve().name
    return trained_card(trained, repo, **metadata)


def trained_card(
    trained: Trained,
    repo: str,
    *,
    license: str | None = None,
    language: str | None = None,
    tags: Sequence[str] = (),
    datasets: Sequence[str] = (),
    plots: Sequence[str] = (),
) -> ModelCard:
    """The card of a trained model.

    Args:
        repo: Hub id, or the folder's name, that the snippets load.
        license: of the weights; where `None`, that of what it was made from, if that is known.
        datasets: Hub ids of the data, beside what the processor knows.
    """
    config, processor = trained.config, trained.processor
    own_code = _travels(config)
    context, horizon = _lengths(trained)
    source = DataSource.of(processor.dataset) if processor is not None and processor.dataset else None
    errors, split = trained.test, "test"
    if errors is None:
        errors, split = _saved_errors(trained), "validation"
    measured = []
    if errors is not None and context and horizon:
        measured = [Measured(errors, split, context, horizon)]
    return CardContent(
        repo=repo,
        title=_title(trained, repo, context, horizon),
        summary=_summary(trained, context, horizon),
        sections=[
            ("Lineage", trained.lineage),
            ("Data", _data(trained, source, datasets)),
            ("Training", _training(trained)),
            ("Results", _results(errors, split, bool(trained.ridges))),
        ],
        limits=_limits(context),
        version=__version__,
        is_distilled=trained.is_distilled,
        context_length=context,
        prediction_length=horizon,
        num_input_channels=_channel_count(trained),
        data=source,
        measured=measured,
        base_model=list(dict.fromkeys(trained.base_model)),
        licence={"license": license} if license else trained.licence,
        teachers_licences=trained.teachers_licences,
        language=language,
        tags=tags,
        datasets=datasets,
        plots=plots,
        history=processor
        and history_note(processor.columns, processor.context_length, processor.timestamp_column, processor.id_column),
        loads_without_package=own_code and context is not None and _channel_count(trained) is not None,
        transformers_class=_transformers_class(config),
    ).card()


def saved_step(trained: Trained) -> int | None:
    """The step whose weights are saved: the best one's where that is loaded at the end, else the last."""
    evaluations = [entry for entry in trained.log_history if "eval_mse" in entry and "step" in entry]
    if trained.args is None or not trained.args.load_best_model_at_end or not evaluations:
        return trained.steps or None
    metric = f"eval_{(trained.args.metric_for_best_model or 'loss').removeprefix('eval_')}"
    choose = max if trained.args.greater_is_better else min
    return choose(evaluations, key=lambda entry: entry[metric])["step"]


def _saved_errors(trained: Trained) -> dict[str, float] | None:
    """The validation errors of what is saved: of the best ridge, or of its own step, the latest of several."""
    if trained.ridges:
        return {"mse": min(ridge.validation_mse for ridge in trained.ridges)}
    step = saved_step(trained)
    return _logged([entry for entry in trained.log_history if entry.get("step") == step], "eval")


def _logged(log_history: Sequence[Mapping], prefix: str) -> dict[str, float] | None:
    found = None
    for entry in log_history:
        if f"{prefix}_mse" in entry:
            found = {name: entry[f"{prefix}_{name}"] for name in ("mse", "mae") if f"{prefix}_{name}" in entry}
    return found


def _summary(trained: Trained, context: int | None, horizon: int | None) -> str:
    config = trained.config
    is_student = isinstance(config, TimeDistillConfig)
    kind = f"student of TimeDistill ({config.architecture})" if is_student else config.model_type
    size = f", {trained.parameters:,} parameters" if trained.parameters else ""
    reads = f" It looks back {context} steps and forecasts the next {horizon}" if context and horizon else ""
    columns = trained.processor.columns if trained.processor is not None else []
    of = f" of {len(columns)} channels" if len(columns) > 1 else f" of `{plain(columns[0])}`" if columns else ""
    article = "An" if kind[0] in "aeiou" else "A"
    return f"{article} {kind}{size}.{f'{reads}{of}.' if reads else ''}"


def _title(trained: Trained, repo: str, context: int | None, horizon: int | None) -> str:
    processor = trained.processor
    what = plain(processor.dataset) if processor is not None and processor.dataset else plain(shown_repo(repo))
    steps = f": {context} to {horizon} steps" if context and horizon else ""
    return f"{what}{steps}"


def _data(trained: Trained, source: DataSource | None, datasets: Sequence[str]) -> str:
    processor, parts = trained.processor, []
    if source is not None:
        fingerprint = f", fingerprint `{processor.fingerprint}`" if processor.fingerprint else ""
        parts.append(f"{source.text}{fingerprint}.")
    elif datasets:
        parts.append(f"{', '.join(map(plain, datasets))}.")
    if processor is not None:
        every = f", a step every {processor.freq}" if processor.freq else ""
        count = len(processor.columns)
        parts.append(
            f"{count} channel{'s' if count > 1 else ''} ({names(processor.columns)}){every}, a season of "
            f"{processor.season} steps. Each is standardised with the mean and deviation of its train rows, which "
            "`preprocessor_config.json` holds."
        )
    windows = trained.windows or {}
    if windows:
        parts.append(f"{', '.join(f'{count:,} {name} windows' for name, count in windows.items())}.")
    return " ".join(parts)


def _training(trained: Trained) -> str:
    if trained.ridges:
        best = min(trained.ridges, key=lambda ridge: ridge.validation_mse)
        return (
            f"Solved in closed form for squared errors, not trained by steps. Of {len(trained.ridges)} ridges "
            f"the one with the least validation error was taken (input_noise {best.input_noise:g})."
        )
    if not trained.steps or trained.args is None:
        return ""
    epochs = f" ({trained.epochs:.3g} epochs)" if trained.epochs else ""
    step = saved_step(trained)
    kept = f" What is saved is the best on validation, of step {step:,}." if step and step != trained.steps else ""
    hidden = () if trained.is_distilled else _OF_THE_OBJECTIVE
    values = {name: _shown(getattr(trained.args, name, None)) for name in _ARGUMENTS if name not in hidden}
    horizon = getattr(trained.config, "prediction_length", None)
    if "num_scales" in values and horizon is not None:
        values["num_scales"] = values["num_scales"] or str(scales_that_fit(horizon))
    count = f"{trained.steps:,} step{'s' if trained.steps != 1 else ''}"
    return f"{count}{epochs}.{kept}\n\n{settings_table(values)}"


def _shown(value: object) -> str | None:
    if value is None:
        return None
    value = getattr(value, "value", value)
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _results(errors: Mapping[str, float] | None, split: str, is_solved: bool) -> str:
    if errors is None:
        return ""
    text = ", ".join(f"{name.upper()} {value:.4f}" for name, value in errors.items())
    used = "to choose the ridge" if is_solved else "while training went on, for early stopping and the best checkpoint"
    chosen = f" They were seen {used}, and look better than new data will."
    return f"On all {split} windows, on standardised values: {text}.{chosen if split == 'validation' else ''}"


def _limits(context: int | None) -> str:
    reads = f"It reads exactly {context} steps, and gives" if context else "It gives"
    return (
        f"Trained on one data set with one split; nothing is known about others. {reads} point forecasts without "
        "uncertainty."
    )


def _lengths(trained: Trained) -> tuple[int | None, int | None]:
    """Look-back and horizon: the processor's, which may be longer than a context with lags, else the model's."""
    if trained.processor is not None:
        return trained.processor.context_length, trained.processor.prediction_length
    return tuple(getattr(trained.config, name, None) for name in ("context_length", "prediction_length"))


def _channel_count(trained: Trained) -> int | None:
    if trained.processor is not None:
        return len(trained.processor.columns)
    return getattr(trained.config, "num_input_channels", None)


def _own_parameters(model) -> int:
    """Without the regressor, which is a part of the model only while it is trained."""
    named = model.named_parameters()
    return sum(value.numel() for name, value in named if not name.startswith(f"{REGRESSOR_NAME}."))


def _windows(trainer: Trainer) -> dict[str, int]:
    parts = {"train": trainer.train_dataset, "validation": trainer.eval_dataset}
    return {name: len(windows) for name, windows in parts.items() if hasattr(windows, "__len__")}


def _fine_tuned(origin: str | None) -> str:
    if origin is None:
        return "Training went on from a model that was saved before."
    return f"Fine-tuned from [{origin}](https://huggingface.co/{origin})."


def _travels(config: PreTrainedConfig) -> bool:
    """Whether the model is one of this package whose code is saved beside the weights."""
    return type(config).__module__.startswith("timedistill_hf.") and getattr(config, "_auto_class", None) is not None


def _transformers_class(config: PreTrainedConfig) -> str | None:
    import transformers

    architecture = (config.architectures or [None])[0]
    is_stock = type(config).__module__.startswith("transformers.")
    return architecture if is_stock and architecture is not None and hasattr(transformers, architecture) else None
