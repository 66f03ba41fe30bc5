"""A disk that is full or may only be read: one line, what was there is kept, and the same command goes on."""

import errno
import os
import resource
import signal
import subprocess
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import CONTEXT
from tests.scripts_helper import fails, generated_csv, run
from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.files import FrameWriter, staged_file, why_unwritable, write_json


MANY = pd.DataFrame(np.random.default_rng(0).normal(size=(20_000, 4)), columns=list("abcd"))
ARRAY = torch.zeros(200_000)


@contextmanager
def no_larger_than(size: int):
    """No file may grow beyond `size` bytes, as on a disk with that much room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 kB, where the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def frames(path):
    with FrameWriter(path) as writer:
        writer.write(MANY)


def staged(write):
    def write_staged(path):
        with staged_file(path) as stage:
            write(stage)

    return write_staged


WRITERS = {
    "json": ("x.json", lambda path: write_json(path, MANY["a"].tolist())),
    "csv": ("x.csv", frames),
    "parquet": ("x.parquet", frames),
    "safetensors": ("x.safetensors", staged(lambda path: save_file({"x": ARRAY}, path))),
    "torch": ("x.pt", staged(lambda path: torch.save(ARRAY, path))),
    "numpy": ("x.npy", staged(lambda path: np.save(path.open("wb"), MANY.to_numpy()))),
}


def check_full(path, write):
    path.write_text("before")
    with pytest.raises(InputError, match=r"cannot be written: .*what was written before is kept") as caught:
        write(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_text() == "before"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_may_not_grow(tmp_path, kind):
    name, write = WRITERS[kind]
    with no_larger_than(50_000):
        check_full(tmp_path / name, write)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk(small_disk, kind):
    name, write = WRITERS[kind]
    check_full(small_disk / name, write)


@pytest.mark.parametrize("text", [
    "Error while serializing: I/O error: No space left on device (os error 28)",
    "[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 470",
    "PytorchStreamWriter failed writing file data/3: file write failed",
])  # fmt: skip
def test_what_libraries_say_of_a_full_disk(text):
    assert "the disk is full" in why_unwritable(RuntimeError(text))


def test_what_is_no_fault_of_the_disk_stays_what_it_is(tmp_path):
    for error in (ValueError("x"), FileNotFoundError(errno.ENOENT, "x"), RuntimeError("shapes differ")):
        assert why_unwritable(error) is None
    elsewhere = PermissionError(errno.EACCES, "Permission denied", "/data/input.csv")
    assert why_unwritable(elsewhere, tmp_path / "out.csv") is None
    assert "may not be written to" in why_unwritable(elsewhere, tmp_path.parent / "/data/out.csv")


@pytest.fixture(scope="module")
def student(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    config = TimeDistillConfig(**data.shape, hidden_size=16, hidden_norm="layernorm", revin_affine=False)
    TimeDistillForPrediction(config).save_pretrained(folder)
    data.processor.save_pretrained(folder)
    frame = pd.DataFrame(data.series.values[-CONTEXT:].numpy(), columns=list(data.series.columns))
    frame.insert(0, "date", data.series.timestamps[-CONTEXT:])
    frame.to_csv(folder / "history.csv", index=False)
    frame.melt("date", var_name="id", value_name="value").to_parquet(folder / "fleet.parquet")
    return folder


def test_forecast_and_export_name_the_output(student, tmp_path, monkeypatch, capsys):
    command = ["--model", student, "--input", student / "history.csv", "--output", tmp_path / "out.csv"]
    with no_larger_than(100):
        line = fails(monkeypatch, capsys, "forecast.py", *command)
    assert f"'{tmp_path / 'out.csv'}' cannot be written: " in line
    assert list(tmp_path.iterdir()) == []
    pytest.importorskip("onnxscript")
    command = ["--model", student, "--output", tmp_path / "out.onnx"]
    with no_larger_than(2000):
        line = fails(monkeypatch, capsys, "export.py", *command)
    assert f"'{tmp_path / 'out.onnx'}' cannot be written: " in line
    assert list(tmp_path.iterdir()) == []


DISTILL = [
    "--context_length", 48, "--prediction_length", 16, "--recipe", "paper", "--hidden_size", 16, "--teacher",
    "itransformer", "--teacher_epochs", 2, "--num_train_epochs", 2, "--controls", "none", "--disable_tqdm", "true",
    "--teacher_config", '{"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "ffn_dim": 16}',
    "--report_to", "none", "--seed", 3,
]  # fmt: skip


def test_a_run_on_a_disk_that_fills_goes_on_from_what_it_kept(tmp_path, monkeypatch, capsys):
    """Wherever it stopped, it ends as one that had room from the beginning."""
    data = generated_csv(tmp_path, 400)
    run(monkeypatch, "distill.py", "--dataset", data, "--output_dir", tmp_path / "whole", *DISTILL)
    command = ["--dataset", data, "--output_dir", tmp_path / "run", *DISTILL]
    stops = set()
    for size in (2_000, 30_000):
        with no_larger_than(size):
            capsys.readouterr()
            with pytest.raises(SystemExit) as caught:
                run(monkeypatch, "distill.py", *command)
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert caught.value.code == 2
        assert line.startswith("error: ")
        assert "cannot be written: " in line
        assert "give the same command again" in line
        stops.add(line)
    run(monkeypatch, "distill.py", *command)
    whole, resumed = (Forecaster.from_pretrained(tmp_path / name).model.state_dict() for name in ("whole", "run"))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert len(stops) > 1


@pytest.fixture
def read_only(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    return small_disk


@pytest.mark.parametrize("script", ["forecast.py", "export.py", "forecast_fleet.py", "backtest.py", "evaluate.py"])
def test_an_output_that_may_not_be_written_is_said_before_anything_is_read(
    script, student, tmp_path, read_only, monkeypatch, capsys
):
    name = {"export.py": "x.onnx", "evaluate.py": "x.json", "forecast_fleet.py": "x.parquet"}.get(script, "x.csv")
    command = ["--model", tmp_path / "there is no such model", "--output", read_only / name]
    command += [] if script in ("export.py", "evaluate.py") else ["--input", student / "fleet.parquet"]
    command += ["--dataset", student / "history.csv"] if script == "evaluate.py" else []
    line = fails(monkeypatch, capsys, script, *command)
    assert f"'{read_only}' may not be written to: name another --output" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(student, tmp_path, monkeypatch, capsys):
    tmp_path.chmod(0o555)
    line = fails(monkeypatch, capsys, "export.py", "--model", student, "--output", tmp_path / "x.onnx")
    assert "may not be written to" in line
