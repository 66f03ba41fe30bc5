"""A process of its own in which the genuine Hub client talks to the loopback Hub.

huggingface_hub reads where the Hub is, and whether it may be asked, when it is imported: so the tests' own process,
which must never reach the network, hands functions to this one.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

from .loopback import WRITER


class HubClient:
    """Runs functions of test modules, by name, in one process with its own cache.

    Args:
        endpoint: of the Hub.
        home: folder of the cache (`HF_HOME`).
        offline: whether the client may not ask the Hub (`HF_HUB_OFFLINE`).
    """

    def __init__(self, endpoint: str, home: Path, *, offline: bool = False):
        self.environment = {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": str(int(offline)),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
        }
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def run(self, function: Callable, *args, token: str | None = WRITER, **kwargs) -> Any:
        """What the function returns there, or the exception that it raises.

        Args:
            function: of a module, so that it is found there; its arguments and what it returns must pickle.
            token: the one that is set (`HF_TOKEN`) meanwhile; `None` is none.
        """
        with mock.patch.dict(os.environ, self.environment):  # a spawned process begins with its parent's
            future = self._pool.submit(_with_token, token, function, args, kwargs)
        return future.result(timeout=300)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _with_token(token: str | None, function: Callable, args: tuple, kwargs: dict) -> Any:
    # the client waits seconds before it tries again what failed
    with mock.patch.dict(os.environ, {"HF_TOKEN": token or ""}), mock.patch("time.sleep"):
        return function(*args, **kwargs)
