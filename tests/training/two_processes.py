"""Run by test_two_processes.py, in one process or under torchrun in two: trains, and writes what it saw."""

import json
import os
import runpy
import signal
import sys
from pathlib import Path

import torch
from torch.utils.data import Subset
from transformers import TrainerCallback, set_seed

from tests.conftest import CONTEXT, HORIZON, WIDTH, tiny_teacher
from timedistill_hf import (
    ForecastTrainer,
    ForecastTrainingArguments,
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
)
from timedistill_hf._utils.errors import Terminated
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.signal_store import folder as store_layout
from timedistill_hf.signal_store.store import store_signal


def stored_signal(data, folder: str) -> list[float]:
    """Sums over the windows of what two processes have stored together, in about 18 shards."""
    store_layout._SHARD_BYTES = 10 * 4 * 3 * (HORIZON + 8)
    windows = store_signal(tiny_teacher("itransformer"), data.train, Path(folder, "signal"))
    return [(item["teacher_prediction_outputs"].sum() + item["teacher_feature"].sum()).item() for item in windows]


def cached(folder: str) -> dict[str, int]:
    """The files that scripts/cache_teacher.py makes of what lies beside the folder, and their sizes."""
    beside, signals = Path(folder).parent, Path(folder, "cached")
    sys.argv = ["cache_teacher.py", *map(str, (
        "--dataset", beside / "mine.csv", "--teacher", beside / "teacher", "--context_length", CONTEXT,
        "--prediction_length", HORIZON, "--recipe", "paper", "--use_cpu", "true", "--signal_dir", signals,
    ))]  # fmt: skip
    runpy.run_path(str(Path(__file__).resolve().parents[2] / "scripts/cache_teacher.py"), run_name="__main__")
    return {str(path.relative_to(signals)): path.stat().st_size for path in sorted(signals.rglob("*.*"))}


def stopped_at(data, folder: str, batch_size: int) -> str:
    """SIGTERM to the last process alone, within a step: all save, at the same step."""
    args = ForecastTrainingArguments(
        output_dir=str(Path(folder, "stopped")), max_steps=30, per_device_train_batch_size=batch_size, use_cpu=True,
        disable_tqdm=True,
    )  # fmt: skip

    class Stop(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, **kwargs):
            if state.global_step == 4 and args.process_index == args.world_size - 1:
                os.kill(os.getpid(), signal.SIGTERM)

    model = tiny_teacher("itransformer").model.requires_grad_(True)
    trainer = ForecastTrainer(model, args, callbacks=[Stop()], **data.for_trainer())
    try:
        trainer.train()
    except Terminated as stop:
        return str(stop)
    return "never"


def new_student() -> TimeDistillForPrediction:
    set_seed(5)
    return TimeDistillForPrediction(
        TimeDistillConfig(
            context_length=CONTEXT, prediction_length=HORIZON, num_input_channels=None, hidden_size=WIDTH,
            hidden_norm="layernorm",
        )
    )  # fmt: skip


def main(folder: str, batch_size: int) -> None:
    data = make_windows(synthetic_series(400, 3), CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))
    student = new_student()
    args = TimeDistillTrainingArguments(
        output_dir=folder, num_train_epochs=2, per_device_train_batch_size=batch_size, per_device_eval_batch_size=4,
        learning_rate=0.01, logging_strategy="steps", logging_steps=1, use_cpu=True, disable_tqdm=True,
        train_sampling_strategy="sequential",
    )  # fmt: skip
    trainer = TimeDistillTrainer(
        model=student,
        args=args,
        teacher=tiny_teacher("itransformer"),
        train_dataset=Subset(data.train, range(160)),
        eval_dataset=data.validation,
    )
    trainer.train()
    record = {"stored": stored_signal(data, folder), "stopped_at": stopped_at(data, folder, batch_size)}
    record["cached"] = cached(folder)
    state = torch.cat([tensor.flatten() for tensor in trainer.regressor.state_dict().values()])
    record |= {
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "terms": [entry["loss_feature_period"] for entry in trainer.state.log_history if "loss" in entry],
        "eval_mse": [entry["eval_mse"] for entry in trainer.state.log_history if "eval_mse" in entry],
        "regressor": state.tolist(),
        "world_size": args.world_size,
    }
    Path(folder, f"rank{args.process_index}.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
