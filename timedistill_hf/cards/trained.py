"""The card of a model that a Trainer made: a teacher, a student, a fine-tuned model. What is not known is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import transformers
from huggingface_hub import ModelCard
from transformers import PreTrainedConfig, Trainer, TrainingArguments

from .. import __version__
from .._utils.hub import hub_origin
from .._utils.licences import common_licence, licence_of
from .._utils.run_folder import REGRESSOR_NAME
from ..data.processor import TimeDistillProcessor
from ..objective.multi_scale import scales_that_fit
from ..student import TimeDistillConfig
from .card import (
    CardContent,
    DataSource,
    Measured,
    columns_text,
    history_note,
    lengths_text,
    limits_text,
    plain,
    settings_table,
    shown_repo,
)


if TYPE_CHECKING:
    from ..training.forecast_trainer import Ridge

_OF_THE_OBJECTIVE = (
    "alpha", "beta", "num_scales", "temperature", "kl_reduction", "kl_floor", "teacher_loss",
)  # fmt: skip
_ARGUMENTS = (
    *_OF_THE_OBJECTIVE, "loss", "frequency_weight", "learning_rate", "lr_scheduler_type", "lr_epoch_decay",
    "weight_decay", "max_grad_norm", "per_device_train_batch_size", "gradient_accumulation_steps", "world_size",
    "early_stopping_patience", "seed",
)  # fmt: skip


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
    windows: Mapping[str, int] = field(default_factory=dict)
    lineage: str = ""
    base_model: Sequence[str] = ()
    is_distilled: bool = False
    test: Mapping[str, float] | None = None
    licence: Mapping[str, str] = field(default_factory=dict)
    teachers_licences: Sequence[Mapping[str, str]] = ()

    @property
    def columns(self) -> Sequence[str]:
        return self.processor.columns if self.processor is not None else ()

    @property
    def lengths(self) -> tuple[int | None, int | None]:
        """Look-back and horizon: the processor's, which may be longer than a context with lags, else the model's."""
        of = self.config if self.processor is None else self.processor
        return getattr(of, "context_length", None), getattr(of, "prediction_length", None)

    @property
    def num_input_channels(self) -> int | None:
        return len(self.columns) or getattr(self.config, "num_input_channels", None)

    @property
    def saved_step(self) -> int | None:
        """The step whose weights are saved: the best one's where that is loaded at the end, else the last."""
        evaluations = [entry for entry in self.log_history if "eval_mse" in entry and "step" in entry]
        if self.args is None or not self.args.load_best_model_at_end or not evaluations:
            return self.steps or None
        metric = f"eval_{(self.args.metric_for_best_model or 'loss').removeprefix('eval_')}"
        choose = max if self.args.greater_is_better else min
        return choose(evaluations, key=lambda entry: entry[metric])["step"]

    def errors(self) -> tuple[Mapping[str, float] | None, str]:
        """Those of the weights that are saved, on test or else on validation windows, and which these are."""
        if self.test is not None:
            return self.test, "test"
        if self.ridges:
            return {"mse": min(ridge.validation_mse for ridge in self.ridges)}, "validation"
        of_step = [entry for entry in self.log_history if entry.get("step") == self.saved_step]
        return _logged(of_step, "eval"), "validation"


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
    parts = {"train": trainer.train_dataset, "validation": trainer.eval_dataset}
    trained = Trained(
        config=model.config,
        parameters=None if trainer.is_fsdp_enabled else _own_parameters(model),
        processor=processor if isinstance(processor, TimeDistillProcessor) else None,
        args=trainer.args,
        log_history=trainer.state.log_history,
        ridges=getattr(trainer, "ridges", ()),
        steps=trainer.state.global_step,
        epochs=trainer.state.epoch,
        windows={name: len(windows) for name, windows in parts.items() if hasattr(windows, "__len__")},
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
    processor = trained.processor
    context, horizon = trained.lengths
    source = DataSource.of(processor.dataset) if processor is not None and processor.dataset else None
    errors, split = trained.errors()
    has_measured = errors is not None and context and horizon
    steps = f": {context} to {horizon} steps" if context and horizon else ""
    return CardContent(
        repo=repo,
        title=f"{plain(source.name if source else shown_repo(repo))}{steps}",
        summary=_summary(trained),
        sections=[
            ("Lineage", trained.lineage),
            ("Data", _data(trained, source, datasets)),
            ("Training", _training(trained)),
            ("Results", _results(errors, split, bool(trained.ridges))),
        ],
        limits=limits_text(context),
        version=__version__,
        is_distilled=trained.is_distilled,
        context_length=context,
        prediction_length=horizon,
        num_input_channels=trained.num_input_channels,
        data=source,
        measured=[Measured(errors, split, context, horizon)] if has_measured else [],
        base_model=list(dict.fromkeys(trained.base_model)),
        licence={"license": license} if license else trained.licence,
        teachers_licences=trained.teachers_licences,
        language=language,
        tags=tags,
        datasets=datasets,
        plots=plots,
        history=processor
        and history_note(processor.columns, processor.context_length, processor.timestamp_column, processor.id_column),
        loads_without_package=_has_own_code(trained.config) and bool(context and trained.num_input_channels),
        transformers_class=_transformers_class(trained.config),
    ).card()


def _logged(log_history: Sequence[Mapping], prefix: str) -> dict[str, float] | None:
    """The last errors that were logged with that prefix."""
    found = [entry for entry in log_history if f"{prefix}_mse" in entry]
    names = [name for name in ("mse", "mae") if found and f"{prefix}_{name}" in found[-1]]
    return {name: found[-1][f"{prefix}_{name}"] for name in names} or None


def _summary(trained: Trained) -> str:
    config, (context, horizon) = trained.config, trained.lengths
    is_student = isinstance(config, TimeDistillConfig)
    kind = f"student of TimeDistill ({config.architecture})" if is_student else config.model_type
    size = f", {trained.parameters:,} parameters" if trained.parameters else ""
    reads = f" It {lengths_text(context, horizon, trained.columns)}." if context and horizon else ""
    return f"{'An' if kind[0] in 'aeiou' else 'A'} {kind}{size}.{reads}"


def _data(trained: Trained, source: DataSource | None, datasets: Sequence[str]) -> str:
    processor, parts = trained.processor, []
    if source is not None:
        fingerprint = f", fingerprint `{processor.fingerprint}`" if processor.fingerprint else ""
        parts.append(f"{source.text}{fingerprint}.")
    elif datasets:
        parts.append(f"{', '.join(map(plain, datasets))}.")
    if processor is not None:
        parts.append(
            f"{columns_text(processor.columns, processor.freq, processor.season)} Each is standardised with the mean "
            "and deviation of its train rows, which `preprocessor_config.json` holds."
        )
    if trained.windows:
        parts.append(f"{', '.join(f'{count:,} {name} windows' for name, count in trained.windows.items())}.")
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
    step = trained.saved_step
    kept = f" What is saved is the best on validation, of step {step:,}." if step and step != trained.steps else ""
    hidden = () if trained.is_distilled else _OF_THE_OBJECTIVE
    values = {name: getattr(trained.args, name, None) for name in _ARGUMENTS if name not in hidden}
    horizon = getattr(trained.config, "prediction_length", None)
    if "num_scales" in values and horizon is not None:
        values["num_scales"] = values["num_scales"] or scales_that_fit(horizon)
    count = f"{trained.steps:,} step{'s' if trained.steps != 1 else ''}"
    return f"{count}{epochs}.{kept}\n\n{settings_table(values)}"


def _results(errors: Mapping[str, float] | None, split: str, is_solved: bool) -> str:
    if errors is None:
        return ""
    text = ", ".join(f"{name.upper()} {value:.4f}" for name, value in errors.items())
    used = "to choose the ridge" if is_solved else "during training, for early stopping and the best checkpoint"
    chosen = f" They were used {used}, and look better than new data will."
    return f"On all {split} windows, on standardised values: {text}.{chosen if split == 'validation' else ''}"


def _own_parameters(model) -> int:
    """Without the regressor, which is a part of the model only while it is trained."""
    named = model.named_parameters()
    return sum(value.numel() for name, value in named if not name.startswith(f"{REGRESSOR_NAME}."))


def _fine_tuned(origin: str | None) -> str:
    if origin is None:
        return "Training continued from a model that was saved before."
    return f"Fine-tuned from [{origin}](https://huggingface.co/{origin})."


def _has_own_code(config: PreTrainedConfig) -> bool:
    """Whether the model is one of this package whose code is saved beside the weights."""
    return type(config).__module__.startswith("timedistill_hf.") and getattr(config, "_auto_class", None) is not None


def _transformers_class(config: PreTrainedConfig) -> str | None:
    architecture = (config.architectures or [None])[0]
    is_stock = type(config).__module__.startswith("transformers.")
    return architecture if is_stock and architecture is not None and hasattr(transformers, architecture) else None
