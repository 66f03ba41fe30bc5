#!/usr/bin/env python
"""The exported graph in onnxruntime beside the fused student in torch, 720 -> 96, 7 channels, one thread.

    python benchmarks/onnx_graph.py --output benchmarks/results/onnx_graph.json

Like is compared with like: the standardised graph with the fused student, that in the data's units with
`Forecaster.predict`, each on whole windows and on windows of which a tenth of the values is missing. The sides take
turns, in processor time; ratios are of the same round.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import onnxruntime
import torch
from inference import CHANNELS, CONTEXT, FORMS, HORIZON, ratio, spread, student
from tabulate import tabulate

from timedistill_hf import Forecaster, TimeDistillProcessor
from timedistill_hf._utils.files import write_json
from timedistill_hf.evaluation.latency import conditions, interleave, stopwatch
from timedistill_hf.evaluation.report import versions
from timedistill_hf.forecasting.onnx import export_onnx


PAIRS = {"standardized": ("graph", "fused"), "data": ("graph in units", "predict")}


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@torch.inference_mode()
def measure_form(form: dict, batches: list[int], rounds: int) -> dict:
    columns = [f"series_{index}" for index in range(CHANNELS)]
    processor = TimeDistillProcessor(columns, [5.0] * CHANNELS, [2.0] * CHANNELS, CONTEXT, HORIZON)
    forecaster = Forecaster(student(form), processor)
    fused = forecaster.inference_copy
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode(False):
        graphs = {
            units: session(export_onnx(forecaster.model, processor, Path(folder) / f"{units}.onnx", units=units))
            for units in PAIRS
        }
    found: dict = {}
    for batch in batches:
        for gaps in (False, True):
            x = torch.randn(batch, CONTEXT, CHANNELS)
            observed = torch.rand_like(x) > 0.1 if gaps else None
            x = torch.where(observed, x, torch.nan) if gaps else x
            inputs = {"past_values": x.nan_to_num()} | ({"past_observed_mask": observed} if gaps else {})
            given, raw = x.numpy(), 5 + 2 * x.double().numpy()
            calls = {
                "fused": lambda: fused(**inputs),  # noqa: B023
                "graph": lambda: graphs["standardized"].run(None, {"past_values": given}),  # noqa: B023
                "predict": lambda: forecaster.predict(raw),  # noqa: B023
                "graph in units": lambda: graphs["data"].run(None, {"past_values": raw}),  # noqa: B023
            }
            sides = {name: stopwatch(call) for name, call in calls.items()}
            times = interleave(sides, rounds=rounds, round_seconds=0.03, max_seconds=60.0)
            found[f"{batch}, {'a tenth missing' if gaps else 'whole'}"] = {
                "ms": {name: 1000 * statistics.median(values) for name, values in times.items()},
                "ratios": {units: ratio(times, graph, (torch_side,)) for units, (graph, torch_side) in PAIRS.items()},
            }
    return found


def table(results: dict) -> str:
    rows = [
        [
            form, windows,
            *(f"{found['ms'][name]:.2f}" for pair in PAIRS.values() for name in pair),
            *(spread(found["ratios"][units]) for units in PAIRS),
        ]
        for form, batches in results["students"].items() for windows, found in batches.items()
    ]  # fmt: skip
    headers = ["student", "windows", *(f"{name}, ms" for pair in PAIRS.values() for name in pair)]
    headers += [" / ".join(pair) for pair in PAIRS.values()]
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", "left", *["right"] * 6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    parser.add_argument("--output", type=Path, help="JSON file, replaced if there is one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict = {"students": {}, "latency": conditions("cpu"), "versions": versions()}
    results["versions"]["onnxruntime"] = onnxruntime.__version__
    for name in options.forms:
        results["students"][name] = measure_form(FORMS[name], options.batches, options.rounds)
        print(f"{name}: done", flush=True)
    if options.output is not None:
        write_json(options.output, results)
    print(table(results))


if __name__ == "__main__":
    main()
