"""Runs scripts/distill.py, in a copy of this process that is killed from inside, with SIGKILL, at some event.

An event is a training step, a file opened for writing, renamed or removed, or a saved tensor file; one that is killed
at is left half written, as if the machine had stopped inside the save.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import safetensors.torch
import torch

from tests.forked import run_forked


events = Counter()
phases = ["other"]
fatal_phase, fatal = "any", 0


def run_and_kill(folder: Path, phase: str, number: int, *flags) -> subprocess.CompletedProcess:
    """`distill.py` with these flags, killed at that event of the phase (teacher, store, student or any, which counts
    all); with 0 it is not, and how many there were of each is in `events.json` of the folder."""
    return run_forked(folder, _distill, folder / "events.json", phase, number, *map(str, flags))


def event(half_written: str | None = None) -> None:
    events.update([phases[-1], "any"])
    if fatal_phase in (phases[-1], "any") and events[fatal_phase] == fatal:
        if half_written is not None:
            os.truncate(half_written, os.path.getsize(half_written) // 2)
        os.kill(os.getpid(), signal.SIGKILL)


def watch(name: str, arguments: tuple) -> None:
    writes = name == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or name in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "tempfile.mkdtemp"):
        event()


def saving(save, where: int):
    def wrapped(*args, **kwargs):
        result = save(*args, **kwargs)
        path = args[where]
        event(os.fspath(path) if isinstance(path, (str, os.PathLike)) else None)
        return result

    return wrapped


def within(phase: str, function):
    """The function, whose events are those of that phase; `run_stage` is told the phase by its first argument."""

    def wrapped(*args, **kwargs):
        phases.append(phase or args[0].split()[0])
        try:
            return function(*args, **kwargs)
        finally:
            phases.pop()

    return wrapped


def _distill(count_file: Path, phase: str, number: int, *flags: str) -> None:
    global fatal_phase, fatal
    fatal_phase, fatal = phase, number
    safetensors.torch.save_file = saving(safetensors.torch.save_file, 1)
    torch.save = saving(torch.save, 1)
    from timedistill_hf.distillation import distill as distillation
    from timedistill_hf.distillation import signal as run_signal
    from timedistill_hf.distillation import students as run_student
    from timedistill_hf.signal_store import folder as store_layout
    from timedistill_hf.training import teacher_training
    from timedistill_hf.training.forecast_trainer import ForecastTrainer

    store_layout._SHARD_BYTES = 2_000  # a few windows, so that there are many
    run_signal.store_signal = within("store", run_signal.store_signal)
    distillation.run_stage = within("", distillation.run_stage)
    run_student.run_stage = within("", run_student.run_stage)
    teacher_training.run_stage = within("", teacher_training.run_stage)
    step = ForecastTrainer.training_step

    def counted(*args, **kwargs):
        event()
        return step(*args, **kwargs)

    ForecastTrainer.training_step = counted
    script = Path(__file__).resolve().parents[1] / "scripts/distill.py"
    sys.argv = [str(script), *flags]
    sys.addaudithook(watch)
    runpy.run_path(str(script), run_name="__main__")
    count_file.write_text(json.dumps(dict(events)))
