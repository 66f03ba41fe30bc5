#!/usr/bin/env python
"""What size costs: many channels, long series, many series.

    python benchmarks/scale.py --part traffic   # 862 channels, 17,544 steps: the three scripts within 4 GiB
    python benchmarks/scale.py --part growth    # time and memory against channels, and against steps
    python benchmarks/scale.py --part fleet     # 100,000 series, Parquet to Parquet, on one process and on two
    python benchmarks/scale.py --report         # docs/images/scale.png and the figures in docs/scale.md

Each part replaces its results in benchmarks/results/scale.json and leaves the others. All data are generated, models
are hardly trained or not at all: cost does not depend on the weights. --quick takes small sizes, to see that it works.
"""

import argparse
import multiprocessing
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scale_report import write_report
from torch.utils.data import Subset, default_collate

from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction, TimeDistillProcessor, make_windows
from timedistill_hf._utils.files import read_json, write_json
from timedistill_hf.data import synthetic_series
from timedistill_hf.evaluation.evaluate_model import evaluate_model
from timedistill_hf.evaluation.report import hardware, versions
from timedistill_hf.forecasting.fleet.processes import peak_memory


ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/scale.json"
TWO_PROCESSES = ROOT / "accelerate_configs/cpu_two_processes.yaml"
LIMIT = 4 * 2**30

CHANNELS = (7, 21, 64, 128, 321, 862)
STEPS = (10_000, 30_000, 100_000, 300_000, 1_000_000)


def run_limited(command: list[str], folder: Path, limit: int) -> dict:
    """Run a script whose private memory may not grow beyond `limit`; its seconds and its peaks, by what they hold.

    The limit is the kernel's on writable memory (RLIMIT_DATA), touched or not; the peaks are of resident pages, looked
    at fifty times a second, but for `resident`, which the kernel keeps itself.
    """
    start, peaks = time.perf_counter(), {"resident": 0, "anonymous": 0, "file_backed": 0}
    log = folder / "log.txt"
    with log.open("w") as output:
        child = subprocess.Popen(
            [sys.executable, *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        )
        while child.poll() is None:
            for name, key in (("resident", "VmHWM"), ("anonymous", "RssAnon"), ("file_backed", "RssFile")):
                peaks[name] = max(peaks[name], _status(child.pid, key))
            time.sleep(0.02)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}\n{log.read_text()[-3000:]}")
    print(f"{command[0]}: {time.perf_counter() - start:.0f} s, {peaks['resident'] / 2**30:.2f} GiB", flush=True)
    return {"seconds": time.perf_counter() - start, **peaks}


def _status(process: int, key: str) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)


def measure_traffic(quick: bool) -> dict:
    """Distil, evaluate and forecast on data of Traffic's shape, with the scripts, all rows, few windows to score.

    The teacher is a PatchTST of the default size, which takes most memory of the usual ones; student, batch and
    objective are those of recipe `paper` for Traffic.
    """
    rows, channels, scored = (2_000, 64, 110) if quick else (17_544, 862, 110)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series = synthetic_series(rows, channels)
        frame = pd.DataFrame(series.values.numpy(), columns=list(series.columns))
        frame.insert(0, "date", series.timestamps)
        frame.to_parquet(folder / "traffic.parquet", index=False)
        data = ["--dataset", folder / "traffic.parquet", "--split", f"{rows - 2 * scored},{scored},{scored}"]
        student = [
            "--recipe",
            "paper",
            "--hidden_size",
            1024,
            "--normalization",
            "revin",
            "--alpha",
            0.5,
            "--beta",
            0.5,
        ]
        steps = ["--per_device_train_batch_size", 8, "--step_limit", 1, "--teacher", "patchtst"]
        model = folder / "student"
        scripts = {
            "distill.py": [*data, *student, *steps, "--output_dir", model],
            "evaluate.py": [*data, "--model", model],
            "forecast.py": [
                "--model",
                model,
                "--input",
                folder / "traffic.parquet",
                "--output",
                folder / "out.parquet",
            ],
        }
        found = {}
        for script, flags in scripts.items():
            found[script] = run_limited([f"scripts/{script}", *map(str, flags)], folder, LIMIT)
        assert pd.read_parquet(folder / "out.parquet").shape == (96, channels + 1)
    return {"rows": rows, "channels": channels, "scored_windows": scored - 95, "limit": LIMIT, "scripts": found}


def measure_growth(quick: bool) -> dict:
    """The same work on more channels, and on longer series, each in a process of its own."""
    channels, steps = (CHANNELS[:3], STEPS[:2]) if quick else (CHANNELS, STEPS)
    rows = 3_000 if quick else 17_544
    return {
        "rows": rows,
        "channels": [_in_child(partial(_work, rows, each, 64, 1)) for each in channels],
        "steps_channels": 7,
        "steps": [_in_child(partial(_work, each, 7, None, 10)) for each in steps],
    }


def _in_child(work: Callable[[], dict]) -> dict:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply(work)
    print({name: round(value, 3) for name, value in found.items()}, flush=True)
    return found


def _work(rows: int, channels: int, most_windows: int | None, every: int) -> dict:
    """Seconds of one core to prepare, train, evaluate and forecast: the paper's student, 720 -> 96, batch 8."""
    torch.set_num_threads(1)
    series = synthetic_series(rows, channels)
    frame = pd.DataFrame(series.values.numpy(), columns=list(series.columns))
    frame.insert(0, "date", series.timestamps)
    before, found = _resident(), {"rows": rows, "channels": channels}
    data = _timed(found, "prepare", lambda: make_windows(series, 720, 96))
    model = TimeDistillForPrediction(TimeDistillConfig(**data.shape))
    optimizer = torch.optim.Adam(model.parameters())
    batch = default_collate([data.train[index] for index in range(8)])

    def step() -> None:
        model.train()(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    times = []
    for _ in range(5):
        begin = time.process_time()
        step()
        times.append(time.process_time() - begin)
    found["step"] = statistics.median(times)
    windows = Subset(data.test, range(0, min(len(data.test), most_windows or len(data.test)), every))
    _timed(found, "evaluate", lambda: evaluate_model(model, data, windows))
    _timed(found, "forecast", lambda: Forecaster(model, data.processor).predict(frame))
    return found | {"evaluated_windows": len(windows), "peak": peak_memory() - before}


def _timed(found: dict, name: str, work: Callable):
    begin = time.process_time()
    result = work()
    found[name] = time.process_time() - begin
    return result


def _resident() -> int:
    """Bytes that this process holds now; from here on its peak is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status(os.getpid(), "VmRSS")


def measure_fleet(quick: bool, rounds: int = 3) -> dict:
    """Rounds of one process and of two, one thread each, with the script as users start it."""
    num_series, steps = (2_000 if quick else 100_000), 384
    sides: dict[str, list[dict]] = {"one": [], "two": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_fleet(folder / "fleet.parquet", num_series, steps)
        _save_forecaster(folder / "model")
        launch = ["-m", "accelerate.commands.launch", "--config_file", str(TWO_PROCESSES)]
        launch += ["--num_cpu_threads_per_process", "1", "--main_process_port", "0"]
        for _ in range(rounds):
            for side, launcher in (("one", []), ("two", launch)):
                sides[side].append(_forecast_fleet(folder, side, launcher))
                print(side, sides[side][-1], flush=True)
        one, two = (pq.ParquetFile(folder / f"{side}.parquet") for side in sides)
        assert one.metadata.num_rows == two.metadata.num_rows == num_series * 96
        last = [file.read_row_group(file.num_row_groups - 1).to_pandas().tail(96) for file in (one, two)]
        pd.testing.assert_frame_equal(*(each.reset_index(drop=True) for each in last), rtol=1e-4, atol=1e-4)
        size = (folder / "fleet.parquet").stat().st_size
    return {"series": num_series, "rows": num_series * steps, "context_length": 336, "prediction_length": 96,
            "input_bytes": size, "rounds": sides}  # fmt: skip


def _write_fleet(path: Path, num_series: int, steps: int) -> None:
    rng = np.random.default_rng(0)
    hours = pd.date_range("2024-01-01", periods=steps, freq="h").as_unit("us")
    writer = None
    for first in range(0, num_series, 1_000):
        names = [f"s{number:06d}" for number in range(first, first + 1_000)]
        columns = {"id": np.repeat(names, steps), "time": np.tile(hours, 1_000)}
        table = pa.table(columns | {"value": rng.standard_normal(1_000 * steps)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def _save_forecaster(folder: Path) -> None:
    lengths = {"context_length": 336, "prediction_length": 96}
    config = TimeDistillConfig(**lengths, num_input_channels=1, hidden_size=512, hidden_norm="layernorm")
    TimeDistillForPrediction(config).save_pretrained(folder)
    TimeDistillProcessor(["value"], [0.0], [1.0], 336, 96, freq="h", season=24).save_pretrained(folder)


def _forecast_fleet(folder: Path, side: str, launcher: list[str]) -> dict:
    flags = {"model": folder / "model", "input": folder / "fleet.parquet", "output": folder / f"{side}.parquet"}
    command = [sys.executable, *launcher, str(ROOT / "scripts/forecast_fleet.py"), "--id_column", "id"]
    command += [part for flag, value in flags.items() for part in (f"--{flag}", str(value))]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    begin = time.perf_counter()
    done = subprocess.run([*command, "--overwrite"], capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    line = done.stdout.splitlines()[-1]
    rate = float(re.search(r"([\d,]+) series a second", line).group(1).replace(",", ""))
    peak = float(re.search(r"peak memory ([\d.]+) GB", line).group(1))
    return {"series_per_second": rate, "peak_gb": peak, "seconds_with_start": seconds}


PARTS = {"traffic": measure_traffic, "growth": measure_growth, "fleet": measure_fleet}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=[*PARTS, "all"], help="what to measure")
    parser.add_argument("--quick", action="store_true", help="small sizes; results are printed and not kept")
    parser.add_argument("--report", action="store_true", help="write plot and figures from the results")
    parser.add_argument("--rounds", type=int, default=3, help="of --part fleet")
    options = parser.parse_args()
    if options.part is None and not options.report:
        parser.error("give --part or --report")
    for part in PARTS if options.part == "all" else [options.part] if options.part else []:
        begin = time.perf_counter()
        found = measure_fleet(options.quick, options.rounds) if part == "fleet" else PARTS[part](options.quick)
        print(f"{part}: {time.perf_counter() - begin:.0f} s")
        if options.quick:
            continue
        about = {"cores": os.cpu_count(), **hardware("cpu"), "versions": versions()}
        write_json(RESULTS, read_json(RESULTS, {}) | {part: found | {"hardware": about}})
    if options.report:
        write_report(read_json(RESULTS, {}), ROOT)


if __name__ == "__main__":
    main()
