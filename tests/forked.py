"""Copies of this process that may be killed, or work together; unlike new ones they have torch and transformers."""

import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from accelerate.state import AcceleratorState, GradientState, PartialState


def run_forked(folder: Path, function: Callable, *args) -> subprocess.CompletedProcess:
    """The function in a copy of this process, in one thread; what it printed goes through files in `folder`."""
    return end(folder, start(folder, function, args))


def run_two_forked(folder: Path, function: Callable, *args) -> list[subprocess.CompletedProcess]:
    """The function in two copies that are joined as those of `accelerate launch --num_processes 2` on a CPU are."""
    common = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}
    children = [
        start(folder / str(rank), function, args, common | {"RANK": rank, "LOCAL_RANK": rank}) for rank in (0, 1)
    ]
    return [end(folder / str(rank), child) for rank, child in enumerate(children)]


def free_port() -> int:
    """A free one."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def start(folder: Path, function: Callable, args: tuple = (), environment: Mapping[str, object] | None = None) -> int:
    """A copy that runs the function beside this process, for [`end`] to wait for."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        for number, name in enumerate(("stdout.txt", "stderr.txt"), 1):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        torch.set_num_threads(1)  # those of a pool do not come along
        os.environ |= {name: str(value) for name, value in (environment or {}).items()}
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()
        function(*args)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end(folder: Path, child: int) -> subprocess.CompletedProcess:
    """How that copy ended, and what it printed."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return subprocess.CompletedProcess(
        child, status, (folder / "stdout.txt").read_text(), (folder / "stderr.txt").read_text()
    )
