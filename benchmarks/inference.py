#!/usr/bin/env python
"""What a forecast costs, 720 -> 96, 7 channels: `Forecaster`, student fused and not, bare matrix products, teachers.

    python benchmarks/inference.py --no_teachers --output benchmarks/results/inference.json
    python benchmarks/inference.py --forms --output benchmarks/results/inference_teachers.json

First part: the paper's student (D = 512) and other forms, untrained (time does not depend on the weights), at batch 1,
32 and 1024. The floor is what no implementation of that student can do without: two products of its shapes on a
contiguous window, and one copy of the window and of the forecast. "predict" is what serves: `Forecaster.predict` of
windows in the data's units, by the fused student of that forecaster. The sides take turns; the table gives medians of
processor time and the ratios of the same round with their quartiles. Second part: every teacher at the size that its
family has here and at the size of its paper (Chronos-Bolt "base", where the extra `chronos` is installed), each in a
process of its own, beside the fused student; peak memory is what that process needs over its own at rest. `--report`
prints the tables of a JSON that is there.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from tabulate import tabulate
from torch.nn import functional as F

from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction, TimeDistillProcessor, fuse
from timedistill_hf._utils.files import write_json
from timedistill_hf.evaluation.latency import interleave, stopwatch
from timedistill_hf.evaluation.latency import spread as quartiles
from timedistill_hf.evaluation.report import hardware, versions
from timedistill_hf.teachers import Teacher, get_family


CONTEXT, HORIZON, CHANNELS = 720, 96, 7
BATCHES = (1, 32, 1024)
MIXER = {"architecture": "residual", "normalization": "revin", "core": "patch_mixer", "hidden_size": 64}
ANY = {"num_input_channels": None, "hidden_norm": "layernorm", "revin_affine": False}
FORMS = {
    "paper's student": {},
    "RevIN, one branch": {"architecture": "mlp", "normalization": "revin", "hidden_norm": "none"},
    "linear": {"architecture": "linear"},
    "recipe best": ANY
    | {
        "architecture": "combination",
        "members": [{"architecture": "linear"}, {"architecture": "linear", "normalization": "last"}, MIXER, MIXER],
    },
}
LARGE = {"d_model": 512, "encoder_attention_heads": 8, "decoder_attention_heads": 8}
LARGE |= {"encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048}
TIMESFM = {"hidden_size": 1280, "intermediate_size": 1280, "head_dim": 80, "num_attention_heads": 16}
CHRONOS_BOLT = {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_heads": 12, "num_layers": 12, "num_decoder_layers": 12}
CHRONOS_BOLT["chronos_config"] = {
    "context_length": 2048, "prediction_length": 64, "input_patch_size": 16, "input_patch_stride": 16,
    "quantiles": [level / 10 for level in range(1, 10)], "use_reg_token": True,
}  # fmt: skip
# sizes of the papers' own scripts, where they are larger than the family's default here
PUBLISHED = {
    "patchtst": {
        "patch_length": 16, "patch_stride": 8, "d_model": 512, "num_attention_heads": 8, "num_hidden_layers": 1,
        "ffn_dim": 2048,
    },
    "itransformer": {"d_model": 512, "num_hidden_layers": 3, "ffn_dim": 512},
    "patchtsmixer": {"patch_length": 16, "patch_stride": 8, "d_model": 256, "num_layers": 8},
    "informer": LARGE,
    "autoformer": LARGE,
    "time_series_transformer": LARGE,
    "timesfm": TIMESFM | {"num_hidden_layers": 50},
    "timesfm2_5": TIMESFM | {"num_hidden_layers": 20, "num_key_value_heads": 16, "output_quantile_len": 1024},
    "chronos": CHRONOS_BOLT,
}  # fmt: skip
SMALL = (
    "itransformer", "modern_tcn", "patchtst", "patchtsmixer", "timesnet", "time_mixer", "informer", "autoformer",
    "time_series_transformer",
)  # fmt: skip


@torch.inference_mode()
def measure(sides: dict[str, Callable[[], object]], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of processor time of a call of each side, taking turns, about `seconds` for each in a round."""
    times = interleave(
        {name: stopwatch(side) for name, side in sides.items()},
        rounds=rounds, round_seconds=seconds, max_seconds=math.inf,
    )  # fmt: skip
    return {name: [1000 * value for value in values] for name, values in times.items()}


def ratio(times: dict[str, list[float]], of: str, to: tuple[str, ...]) -> dict[str, float]:
    """Median and quartiles of the rounds' ratios; several sides to compare with are added up."""
    return quartiles(
        [value / sum(base) for value, *base in zip(times[of], *(times[name] for name in to), strict=True)]
    )


def student(form: dict) -> TimeDistillForPrediction:
    torch.manual_seed(1)
    return TimeDistillForPrediction(TimeDistillConfig(**{"num_input_channels": CHANNELS} | form)).eval()


def served(model: TimeDistillForPrediction) -> Forecaster:
    columns = [f"series_{index}" for index in range(CHANNELS)]
    return Forecaster(model, TimeDistillProcessor(columns, [5.0] * CHANNELS, [2.0] * CHANNELS, CONTEXT, HORIZON))


def bare_products(form: dict, batch: int) -> Callable[[], object]:
    """The products that are left of a student, on windows that lie ready: one of a linear one, else two."""
    rows = torch.randn(batch * CHANNELS, CONTEXT)
    if form.get("architecture") == "linear":
        matrix = torch.randn(HORIZON, CONTEXT)
        return lambda: F.linear(rows, matrix)
    width = 1024 if "architecture" not in form else 512
    first, second = torch.randn(width, CONTEXT), torch.randn(HORIZON, width)
    return lambda: F.linear(F.linear(rows, first), second)


def copies(batch: int) -> Callable[[], object]:
    """The memory floor: windows are read and forecasts written once."""
    pairs = [
        (torch.randn(batch, steps, CHANNELS), torch.empty(batch, steps, CHANNELS)) for steps in (CONTEXT, HORIZON)
    ]
    return lambda: [target.copy_(source) for source, target in pairs]


def measure_student(form: dict, batch: int, options: argparse.Namespace) -> dict:
    model, x = student(form), torch.randn(batch, CONTEXT, CHANNELS)
    forecaster = served(model)
    fused, raw = forecaster.inference_copy, 5 + 2 * x.double().numpy()
    compiled = torch.compile(fused, dynamic=False) if options.compile else None
    sides = {"student": lambda: model(past_values=x), "fused": lambda: fused(past_values=x)}
    sides["predict"] = lambda: forecaster.predict(raw)
    if "members" not in form:
        sides |= {"products": bare_products(form, batch), "copies": copies(batch)}
    if compiled is not None:
        sides["compiled"] = lambda: compiled(past_values=x)
    if options.bf16:
        half, x_half = fuse(model).bfloat16(), x.bfloat16()
        sides["bf16"] = lambda: half(past_values=x_half)
    times = measure(sides, options.rounds, options.seconds)
    found = {"ms": {name: statistics.median(values) for name, values in times.items()}}
    found["times_unfused"] = ratio(times, "student", ("fused",))
    found["predict_to_fused"] = ratio(times, "predict", ("fused",))
    if "products" in sides:
        found["times_floor"] = ratio(times, "fused", ("products", "copies"))
    for name in ("compiled", "bf16"):
        if name in sides:
            found[f"{name}_to_fused"] = ratio(times, name, ("fused",))
    return found | {"parameters": model.num_parameters(), "fused_values": fused.num_values()}


def memory(field: str) -> int:
    """Bytes of this process: `VmRSS` now, `VmHWM` at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def measure_teacher(name: str, size: str, options: argparse.Namespace) -> dict:
    """One teacher, in this process: parameters, milliseconds and peak memory; and those of the fused student."""
    family = get_family(name)
    at_rest = memory("VmRSS")
    overrides = PUBLISHED[name] if size == "published" else {}
    config = family.config(CONTEXT, HORIZON, CHANNELS, **overrides)
    teacher = Teacher(family.class_of(config)(config), family, HORIZON)
    calendar = {}
    found: dict = {"parameters": sum(parameter.numel() for parameter in teacher.parameters()), "ms": {}, "peak": {}}
    for batch in (1, 32):
        x = torch.randn(batch, CONTEXT, CHANNELS)
        if teacher.num_time_features:
            features = teacher.num_time_features
            calendar = {"past_time_features": torch.zeros(batch, CONTEXT, features)}
            calendar |= {"future_time_features": torch.zeros(batch, HORIZON, features)}
        start = time.process_time()
        teacher(x, **calendar)
        if batch == 1 and time.process_time() - start > options.longest:
            start = time.process_time()  # the first call has loaded what it needs
            teacher(x, **calendar)
            found["ms"][str(batch)] = 1000 * (time.process_time() - start)
            found["peak"][str(batch)] = memory("VmHWM") - at_rest
            break
        found["peak"][str(batch)] = memory("VmHWM") - at_rest
        times = measure({"teacher": lambda: teacher(x, **calendar)}, 3, options.seconds)["teacher"]  # noqa: B023
        found["ms"][str(batch)] = statistics.median(times)
    return found


def measure_fused(options: argparse.Namespace) -> dict:
    """The same of the paper's student, fused."""
    at_rest = memory("VmRSS")
    fused = served(student({})).inference_copy
    found: dict = {"parameters": fused.num_values(), "ms": {}, "peak": {}}
    for batch in (1, 32):
        x = torch.randn(batch, CONTEXT, CHANNELS)
        times = measure({"fused": lambda: fused(past_values=x)}, 3, options.seconds)["fused"]  # noqa: B023
        found["ms"][str(batch)] = statistics.median(times)
        found["peak"][str(batch)] = memory("VmHWM") - at_rest
    return found


def in_own_process(name: str, size: str, options: argparse.Namespace) -> dict:
    command = [sys.executable, __file__, "--alone", f"{name}:{size}", "--threads", str(options.threads)]
    command += ["--seconds", str(options.seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def spread(found: dict[str, float]) -> str:
    return f"{found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def student_table(results: dict) -> str:
    rows = []
    for name, batches in results["students"].items():
        for batch, found in batches.items():
            floor = found["ms"]["products"] + found["ms"]["copies"] if "products" in found["ms"] else None
            rows.append([
                name, batch, f"{found['ms']['student']:.2f}", f"{found['ms']['fused']:.2f}",
                "" if floor is None else f"{floor:.2f}", spread(found["times_unfused"]),
                spread(found["times_floor"]) if floor else "",
                spread(found["predict_to_fused"]) if "predict_to_fused" in found else "",
            ])  # fmt: skip
    headers = ["student", "batch", "as trained, ms", "fused, ms", "floor, ms", "as trained / fused", "fused / floor"]
    headers.append("predict / fused")
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 7))


def teacher_table(results: dict) -> str:
    rows, fused = [], results["fused"]
    for name, found in {"the student, fused": fused, **results["teachers"]}.items():
        cells = []
        for batch in ("1", "32"):
            known = found["ms"].get(batch)
            cells += ["" if known is None else f"{known:.3g}"]
            cells += ["" if known is None else f"{known / fused['ms'][batch]:,.0f}"]
        peak = found["peak"].get("32")
        rows.append([name, f"{found['parameters']:,}", *cells, "" if peak is None else f"{peak / 1e6:,.0f}"])
    headers = ["model", "parameters", "ms, batch 1", "times", "ms, batch 32", "times", "peak MB, batch 32"]
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 6))


def save(results: dict, options: argparse.Namespace) -> None:
    if options.output is not None:
        write_json(options.output, results)


def run(options: argparse.Namespace) -> dict:
    results: dict = {"students": {}, "teachers": {}, "hardware": hardware(), "versions": versions()}
    results["settings"] = {"rounds": options.rounds, "seconds": options.seconds}
    for name in options.forms:
        form = FORMS[name]
        results["students"][name] = {}
        for batch in options.batches:
            results["students"][name][str(batch)] = measure_student(form, batch, options)
            save(results, options)
            print(f"{name}, batch {batch}: done", flush=True)
    if not options.no_teachers:
        results["fused"] = in_own_process("fused", "", options)
        for name, size in [*((name, "small") for name in SMALL), *((name, "published") for name in PUBLISHED)]:
            if name == "chronos" and find_spec("chronos") is None:
                print("chronos is left out: pip install 'timedistill_hf[chronos]'", flush=True)
                continue
            results["teachers"][f"{name}, {size}"] = in_own_process(name, size, options)
            save(results, options)
            print(f"{name}, {size}: done", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a side in a round")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--forms", nargs="*", default=list(FORMS), choices=list(FORMS), help="students to measure")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile of the fused student, too")
    parser.add_argument("--bf16", action="store_true", help="measure the fused student in bfloat16, too")
    parser.add_argument("--no_teachers", action="store_true")
    parser.add_argument("--longest", type=float, default=1.0, help="seconds at batch 1 beyond which batch 32 is left")
    parser.add_argument("--alone", metavar="NAME:SIZE", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help="JSON file, replaced if there is one")
    parser.add_argument("--report", type=Path, help="a JSON file whose tables are printed; nothing is measured")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.alone:
        name, size = options.alone.split(":")
        print(json.dumps(measure_fused(options) if name == "fused" else measure_teacher(name, size, options)))
        return
    results = json.loads(options.report.read_text(encoding="utf-8")) if options.report else run(options)
    print(student_table(results))
    for name, batches in results["students"].items():
        for batch, found in batches.items():
            for other in ("compiled", "bf16"):
                if f"{other}_to_fused" in found:
                    print(f"{name}, batch {batch}: {other} / fused {spread(found[f'{other}_to_fused'])}")
    if results["teachers"]:
        print(f"\n{teacher_table(results)}")


if __name__ == "__main__":
    main()
