#!/usr/bin/env python
"""What a training step costs: plain, distilled from a live teacher, distilled from its stored signal.

    python benchmarks/step_time.py --threads 2 --output benchmarks/results/step_time.json

720 -> 96, 7 channels, batch 32, the paper's student (D = 512), every teacher family at its default size (untrained:
time does not depend on the weights); features of patches flattened, and pooled by their mean. A step is batch,
forward, objective, backward and update. The sides take turns, a few steps each; the table gives the median of the
rounds and the ratio to the plain step of the same round.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from tabulate import tabulate
from torch.profiler import ProfilerActivity, profile
from transformers import set_seed

from timedistill_hf import (
    ForecastTrainer,
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
    make_windows,
    store_signal,
)
from timedistill_hf._utils.files import write_json
from timedistill_hf.data import synthetic_series
from timedistill_hf.evaluation.report import hardware, versions
from timedistill_hf.teachers import Teacher, get_family, trainable_families
from timedistill_hf.training.teacher_training import build_config


CHANNELS, ROWS, BATCH = 7, 3000, 32


class Side:
    """A trainer that is driven step by step."""

    def __init__(self, trainer: ForecastTrainer):
        self.trainer = trainer
        if isinstance(trainer, TimeDistillTrainer):
            trainer._attach_regressor()
        trainer.create_optimizer()
        self.batches = self._endless()

    def _endless(self):
        while True:
            yield from self.trainer.get_train_dataloader()

    def run(self, steps: int) -> float:
        """Milliseconds a step."""
        start = time.perf_counter()
        for _ in range(steps):
            inputs = self.trainer._prepare_inputs(next(self.batches))
            self.trainer.compute_loss(self.trainer.model.train(), inputs).backward()
            self.trainer.optimizer.step()
            self.trainer.optimizer.zero_grad()
        if self.trainer.args.device.type != "cpu":
            torch.accelerator.synchronize()
        return 1000 * (time.perf_counter() - start) / steps


def build_sides(families: list[str], folder: Path) -> tuple[dict[str, Side], dict[str, dict]]:
    data = make_windows(synthetic_series(ROWS, CHANNELS), 720, 96)
    args = TimeDistillTrainingArguments(
        str(folder), per_device_train_batch_size=BATCH, disable_tqdm=True, report_to="none", max_grad_norm=0.0
    )

    def student() -> TimeDistillForPrediction:
        set_seed(1)
        return TimeDistillForPrediction(TimeDistillConfig(**data.shape))

    sides = {"plain": Side(ForecastTrainer(student(), args, **data.for_trainer()))}
    facts: dict[str, dict] = {"plain": {}}
    for name in families:
        family = get_family(name)
        model = family.model_class(build_config(family, data, {}))
        teacher = Teacher(model, family, feature_pooling="flatten" if family.has_patches else None).to(args.device)
        with_features = data.with_time_features() if teacher.num_time_features else data
        live = TimeDistillTrainer(student(), args, teacher=teacher, **with_features.for_trainer())
        sides[f"{name}, live"] = Side(live)
        facts[f"{name}, live"] = {"parameters": model.num_parameters()}
        stores = {"stored": (teacher, torch.float32)}
        if family.has_patches:
            stores |= {"stored, pooled": (teacher.pooled("mean"), torch.float32)}
        stores |= {f"{kind}, float16": (of, torch.float16) for kind, (of, _) in list(stores.items())[-1:]}
        for kind, (of, dtype) in stores.items():
            start = time.perf_counter()
            windows = store_signal(of, with_features.train, folder / "signal", dtype=dtype, batch_size=BATCH)
            seconds = time.perf_counter() - start
            stored = TimeDistillTrainer(student(), args, **(data.for_trainer() | {"train_dataset": windows}))
            sides[f"{name}, {kind}"] = Side(stored)
            facts[f"{name}, {kind}"] = {
                "filling_ms_per_window": 1000 * seconds / len(windows),
                "bytes_per_window": windows.layout.num_bytes // len(windows),
                "feature_size": windows.layout.shapes["feature"][-1],
            }
    return sides, facts


def measure(sides: dict[str, Side], rounds: int, steps: int) -> dict[str, list[float]]:
    for side in sides.values():
        side.run(2)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name, side in sides.items():
            times[name].append(side.run(steps))
        print(f"round {turn + 1} of {rounds}", flush=True)
    return times


def profile_of(side: Side, steps: int = 20) -> str:
    """What the operations of a step take, the dearest first."""
    side.run(2)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        side.run(steps)
    events = sorted(profiler.key_averages(), key=lambda event: event.self_cpu_time_total, reverse=True)
    rows = [[event.key, f"{event.self_cpu_time_total / 1000 / steps:.2f}", event.count / steps] for event in events]
    return tabulate(rows[:16], ["operation", "ms a step", "calls a step"], "github")


def summary(times: dict[str, list[float]]) -> dict[str, dict]:
    found = {}
    for name, values in times.items():
        ratios = sorted(value / plain for value, plain in zip(values, times["plain"], strict=True))
        found[name] = {
            "ms": statistics.median(values),
            "ratio": statistics.median(ratios),
            "ratio_low": ratios[len(ratios) // 4],
            "ratio_high": ratios[-1 - len(ratios) // 4],
        }
    return found


def table(results: dict) -> str:
    rows = []
    for name, side in results["sides"].items():
        size = f"{side['feature_size']:,}" if "feature_size" in side else ""
        storage = f"{side['bytes_per_window'] / 1000:.0f}" if size else ""
        filling = f"{side['filling_ms_per_window']:.1f}" if size else ""
        spread = f"{side['ratio']:.2f} ({side['ratio_low']:.2f} to {side['ratio_high']:.2f})"
        rows.append([name, f"{side['ms']:.1f}", spread, size, storage, filling])
    headers = ["training step", "ms", "times a plain step", "feature", "stored kB / window", "filling, ms / window"]
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=3, help="steps of a side in a round")
    parser.add_argument("--teachers", nargs="+", default=trainable_families(), choices=trainable_families())
    parser.add_argument("--output", type=Path, help="JSON file, replaced if there is one")
    parser.add_argument("--profile", action="store_true", help="print each side's dearest operations instead")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        sides, facts = build_sides(options.teachers, Path(folder))
        if options.profile:
            for name, side in sides.items():
                print(f"{name}\n{profile_of(side)}")
            return
        measured = summary(measure(sides, options.rounds, options.steps))
    device = next(iter(sides.values())).trainer.args.device
    results = {
        "sides": {name: measured[name] | facts[name] for name in measured},
        "settings": {"batch_size": BATCH, "channels": CHANNELS, "rounds": options.rounds, "steps": options.steps},
        "hardware": hardware(device),
        "versions": versions(),
    }
    if options.output is not None:
        write_json(options.output, results)
    print(table(results))


if __name__ == "__main__":
    main()
