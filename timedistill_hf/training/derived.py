"""The training arguments of a run's other models: same machine and seed, own procedure."""

import dataclasses
from pathlib import Path
from typing import TypeVar

from ..data.windows import windows_at_once
from .arguments import ForecastTrainingArguments


Arguments = TypeVar("Arguments", bound=ForecastTrainingArguments)

_PROCEDURE = (
    "loss",
    "frequency_weight",
    "learning_rate",
    "weight_decay",
    "max_grad_norm",
    "lr_epoch_decay",
    "lr_constant_epochs",
    "lr_scheduler_type",
    "warmup_steps",
    "num_train_epochs",
    "early_stopping_patience",
    "per_device_train_batch_size",
)


def derive(args: ForecastTrainingArguments, kind: type[Arguments], folder: str | Path, overrides: dict) -> Arguments:
    """The run's arguments for another model of it, in `folder`: what they share, then `overrides`.

    Overrides that name a learning rate describe a whole training procedure, so that the run's is not mixed in; the
    step limit and how often is evaluated stay. What such a model's trainer saves is not published: the run is.
    """
    own = {field.name: field for field in dataclasses.fields(kind) if field.init}
    shared = {field.name for field in dataclasses.fields(args)}
    values = {name: getattr(args, name) for name in own if name in shared}
    if "learning_rate" in overrides:
        values |= {name: own[name].default for name in _PROCEDURE}
    return kind(**(values | overrides | {"output_dir": str(folder), "push_to_hub": False}))


def windows_per_batch(args: Arguments, num_channels: int, series_per_batch: int | None) -> Arguments:
    """The arguments with as many windows in a batch as make `series_per_batch` series; as they are where `None`."""
    if series_per_batch is None:
        return args
    batch = max(1, round(series_per_batch / num_channels))
    return derive(args, type(args), args.output_dir, {"per_device_train_batch_size": batch})


def within_memory(args: Arguments, num_channels: int) -> Arguments:
    """The arguments with the same windows in a step, a part of them at once where there are very many channels.

    Gradients of the parts are added up, which is the same but for batch normalisation and dropout.
    """
    args = scored_within_memory(args, num_channels)
    batch = args.per_device_train_batch_size
    part = next(size for size in range(windows_at_once(batch, num_channels), 0, -1) if batch % size == 0)
    if part == batch:
        return args
    accumulated = args.gradient_accumulation_steps * (batch // part)
    overrides = {"per_device_train_batch_size": part, "gradient_accumulation_steps": accumulated}
    return derive(args, type(args), args.output_dir, overrides)


def scored_within_memory(args: Arguments, num_channels: int) -> Arguments:
    """The arguments with fewer windows at once in evaluation where there are very many channels."""
    batch = windows_at_once(args.per_device_eval_batch_size, num_channels)
    if batch == args.per_device_eval_batch_size:
        return args
    return derive(args, type(args), args.output_dir, {"per_device_eval_batch_size": batch})


def limit_steps(args: Arguments, num_windows: int, step_limit: int | None) -> Arguments:
    """The arguments with `max_steps` for their epochs, at most `step_limit`, and five evaluations on the way.

    Args:
        num_windows: of training.
        step_limit: `None` leaves the arguments as they are, and so does a `max_steps` that they set.
    """
    if step_limit is None or args.max_steps > 0:
        return args
    batch = args.train_batch_size * args.world_size * args.gradient_accumulation_steps
    steps = min(step_limit, max(1, round(args.num_train_epochs * -(-num_windows // batch))))
    every = max(1, -(-steps // 5))
    kind = type(args)
    strategies = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": every, "save_steps": every}
    return derive(args, kind, args.output_dir, {"max_steps": steps, **strategies})
