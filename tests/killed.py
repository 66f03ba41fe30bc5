"""Runs scripts/distill.py and kills it from inside, with SIGKILL, at its N-th event; 0 counts events only.

    python -m tests.killed N COUNT_FILE [flags of distill.py]

An event is a training step, a file opened for writing, renamed or removed, or a saved tensor file; one that is killed
at is left half written, as if the machine had stopped inside the save. The count goes to COUNT_FILE at the end.
"""

import os
import runpy
import signal
import sys
from pathlib import Path

import safetensors.torch
import torch


torch.set_num_threads(1)
fatal = int(sys.argv[1])
count_file = Path(sys.argv[2])
events = 0


def event(half_written: str | None = None) -> None:
    global events
    events += 1
    if events == fatal:
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


def main() -> None:
    safetensors.torch.save_file = saving(safetensors.torch.save_file, 1)
    torch.save = saving(torch.save, 1)
    from timedistill_hf.training.forecast_trainer import ForecastTrainer

    step = ForecastTrainer.training_step

    def counted(*args, **kwargs):
        event()
        return step(*args, **kwargs)

    ForecastTrainer.training_step = counted
    script = Path(__file__).resolve().parents[1] / "scripts/distill.py"
    sys.argv = [str(script), *sys.argv[3:]]
    import transformers.trainer  # noqa: F401  (what it writes while it is imported is not counted)

    sys.addaudithook(watch)
    runpy.run_path(str(script), run_name="__main__")
    total = events
    count_file.write_text(str(total))


if __name__ == "__main__":
    main()
