"""Several processes that work on one output: what one cannot do, all end with."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from ..._utils.errors import InputError


Result = TypeVar("Result")

_STATUS = Path("/proc/self/status")


def process_state() -> PartialState:
    """The processes that were launched together, joined by gloo where there is no accelerator.

    Raises:
        InputError: several were launched that do not see each other.
    """
    state = PartialState(cpu=not torch.accelerator.is_available())
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if launched != state.num_processes:
        raise InputError(
            f"{launched} processes were launched, this one sees {state.num_processes}: launch them with torchrun or "
            "accelerate launch --multi_gpu, also on a CPU"
        )
    return state


def together(state: PartialState, work: Callable[[], Result]) -> Result:
    """Do one's part and wait for the others.

    Raises:
        InputError: on the main process, what it or the first of the others has met; the others end with a `SystemExit`
            of code 2. An error of another kind is raised where it was met.
    """
    result, failure = None, None
    try:
        result = work()
    except Exception as error:
        failure = error
    told = [message for message in gather_object([_message(failure)]) if message is not None]
    if not told:
        return result
    if failure is not None and (state.is_main_process or not isinstance(failure, InputError)):
        raise failure
    if state.is_main_process:
        raise InputError(told[0])
    raise SystemExit(2)


def _message(failure: Exception | None) -> str | None:
    if failure is None or isinstance(failure, InputError):
        return None if failure is None else str(failure)
    return f"another process failed: {type(failure).__name__}: {failure}"


def peak_memory() -> int:
    """Most bytes of memory that this process has held so far; 0 where the system does not say."""
    if not _STATUS.is_file():
        return 0
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
