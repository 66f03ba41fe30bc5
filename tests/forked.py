"""A copy of this process that may be killed; unlike a new one it has torch and transformers already."""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch


def run_forked(folder: Path, function: Callable, *args) -> subprocess.CompletedProcess:
    """The function in a copy of this process, in one thread; what it printed goes through files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [folder / "stdout.txt", folder / "stderr.txt"]
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for number, path in enumerate(outputs, 1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
            torch.set_num_threads(1)  # those of a pool do not come along
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
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return subprocess.CompletedProcess(function.__name__, status, *(path.read_text() for path in outputs))
