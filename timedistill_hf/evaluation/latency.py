"""What a forecast costs: all models of a run in turn, on one thread, in processor time, each in the form that serves.

Models that are timed one after the other, in seconds of the clock on the wall, are compared with what else the machine
did meanwhile.
"""

import functools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.utils.data import Dataset, default_collate

from ..data.windows import split_targets
from ..models.adapters import run_model
from ..student import inference_copy
from ..student.serving_timedistill import device_of


BATCHES = (1, 32)
THREADS = 1
ROUNDS = 15
ROUND_SECONDS = 0.003  # of each side; quicker calls are repeated
MAX_SECONDS = 3.0  # of each side in all rounds together, but for three calls; a call beyond is the only one

Side = Callable[[int], float]


@torch.no_grad()
def measure_latency(
    models: Mapping[str, tuple[nn.Module, Dataset]], batches: Sequence[int] = BATCHES
) -> dict[str, dict[str, dict[str, float]]]:
    """Milliseconds of a forecast of each model, by batch size: `median`, quartiles `low` and `high`, `rounds`.

    A student forecasts by its fused copy. A model on an accelerator is timed by the accelerator's own events.

    Args:
        models: each with the windows that it takes, on its own device; evaluation mode is switched on.
    """
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in models}
    served = {name: (inference_copy(model.eval()), windows) for name, (model, windows) in models.items()}
    with _threads(THREADS):
        for batch in batches:
            inputs = functools.cache(partial(_inputs, batch))  # models of the same windows share them
            sides = {
                name: stopwatch(partial(run_model, model, inputs(windows, device_of(model))), device_of(model))
                for name, (model, windows) in served.items()
            }
            for name, seconds in interleave(sides).items():
                found[name][str(batch)] = spread([1000 * value for value in seconds])
    return found


def interleave(
    sides: Mapping[str, Side],
    *,
    rounds: int = ROUNDS,
    round_seconds: float = ROUND_SECONDS,
    max_seconds: float = MAX_SECONDS,
) -> dict[str, list[float]]:
    """Seconds of one call of each side, a number for each round; the sides take turns within a round.

    Args:
        sides: each calls something so often and gives the seconds that it took: see [`stopwatch`].
        rounds: at most; a slow side takes part in the first ones only, three or more. One that takes longer than
            `max_seconds` the first time, when it may still load something, has that one number.
    """
    taken: dict[str, list[float]] = {name: [side(1)] for name, side in sides.items()}
    plan = {}
    for name, side in sides.items():
        if taken[name][0] <= max_seconds:
            once = max(side(1), 1e-6)
            calls = max(1, min(1000, round(round_seconds / once)))
            plan[name] = (calls, int(min(rounds, max(3, max_seconds / (calls * once)))))
            taken[name] = []
    for turn in range(rounds):
        for name, (calls, turns) in plan.items():
            if turn < turns:
                taken[name].append(sides[name](calls) / calls)
    return taken


def stopwatch(function: Callable[[], object], device: torch.device | str = "cpu") -> Side:
    """Calls `function` a number of times and gives the seconds of processor time, or of the accelerator."""
    if torch.device(device).type == "cpu":
        return partial(_processor_seconds, function)
    return partial(_accelerator_seconds, function)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and how many there are."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else 3 * [*values]
    return {"median": median, "low": low, "high": high, "rounds": len(values)}


def conditions(device: torch.device | str) -> dict[str, str | int]:
    """How [`measure_latency`] measures models on `device`, for results."""
    kind = torch.device(device).type
    return {"device": kind, "threads": THREADS, "clock": "processor time" if kind == "cpu" else f"{kind} events"}


def _inputs(batch_size: int, windows: Dataset, device: torch.device) -> dict[str, torch.Tensor]:
    inputs, _ = split_targets(default_collate([windows[index % len(windows)] for index in range(batch_size)]))
    return {name: value.to(device) for name, value in inputs.items()}


def _processor_seconds(function: Callable[[], object], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        function()
    return time.process_time() - start


def _accelerator_seconds(function: Callable[[], object], calls: int) -> float:
    start, end = (torch.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(calls):
        function()
    end.record()
    torch.accelerator.synchronize()
    return start.elapsed_time(end) / 1000


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
