"""What a run is about to do, and what that will cost: measured on two training steps of each model."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tabulate import tabulate
from torch.utils.data import default_collate
from transformers import PreTrainedModel

from .._utils.readable import readable_seconds
from ..data.windows import WindowDataset, split_targets
from ..models.adapters import run_model
from ..training.arguments import ForecastTrainingArguments
from ..training.stages import WEIGHTS


logger = logging.getLogger(__name__)

_OVERHEAD = 1.2  # evaluation, loading, the objective's own terms
_FEW_STEPS = 20  # not worth measuring


@dataclass(frozen=True)
class Stage:
    """One model of a run.

    Args:
        name: what the log calls it.
        folder: where it is kept when finished.
        build: makes it, untrained; `None` where it is solved in closed form.
        args: its training arguments.
    """

    name: str
    folder: Path
    build: Callable[[], PreTrainedModel] | None
    args: ForecastTrainingArguments

    def steps(self, num_windows: int) -> int:
        """Training steps, at most; 0 where it is solved or there already."""
        if self.build is None or (self.folder / WEIGHTS).is_file():
            return 0
        if self.args.max_steps > 0:
            return self.args.max_steps
        batch = self.args.train_batch_size * self.args.world_size * self.args.gradient_accumulation_steps
        return math.ceil(self.args.num_train_epochs * math.ceil(num_windows / batch))

    def seconds(self, windows: WindowDataset) -> float | None:
        """What its steps will take; `None` where they cannot be measured."""
        steps = self.steps(len(windows))
        if self.build is None or steps < _FEW_STEPS:
            return 0.0
        with torch.random.fork_rng(devices=[]):  # training is the same with it and without
            try:
                each = _seconds_per_step(self.build(), windows, self.args)
            except Exception as error:  # a model that only its own trainer can run
                logger.debug("%s: not measured: %s", self.name, error)
                return None
        return _OVERHEAD * steps * each * self.args.gradient_accumulation_steps


def announce(stages: Sequence[Stage], windows: WindowDataset) -> None:
    """Log the stages with their steps and what they will take, and the sum."""
    found = [(stage, stage.steps(len(windows)), stage.seconds(windows)) for stage in stages]
    rows = [(stage.name, f"{steps:,}" if steps else "", _said(stage, seconds)) for stage, steps, seconds in found]
    total = sum(seconds or 0.0 for *_, seconds in found)
    if total:
        table = tabulate(rows, headers=["to train", "steps, at most", "about"], disable_numparse=True)
        logger.info("%s\nin all about %s on this machine\n", table, readable_seconds(total))


def _said(stage: Stage, seconds: float | None) -> str:
    if (stage.folder / WEIGHTS).is_file():
        return "there already"
    if stage.build is None:
        return "solved in closed form"
    return "not known" if seconds is None else readable_seconds(seconds)


def _seconds_per_step(model: PreTrainedModel, windows: WindowDataset, args: ForecastTrainingArguments) -> float:
    model = model.to(args.device).train()
    batch = default_collate([windows[index % len(windows)] for index in range(args.train_batch_size)])
    batch = {name: values.to(args.device) for name, values in batch.items()}
    inputs, targets = split_targets(batch)
    seconds = math.inf
    for _ in range(2):
        start = time.perf_counter()
        error = run_model(model, inputs).prediction_outputs - targets["future_values"]
        error.square().mean().backward()
        seconds = min(seconds, time.perf_counter() - start)
    return seconds
