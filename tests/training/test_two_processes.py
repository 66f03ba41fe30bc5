import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CONTEXT, HORIZON, tiny_teacher
from tests.forked import free_port, run_forked
from tests.scripts_helper import generated_csv
from tests.training.two_processes import main
from timedistill_hf.data import load_series, make_windows


ROOT = Path(__file__).resolve().parents[2]


def launched(folder: Path, batch_size: int) -> subprocess.CompletedProcess:
    """In two processes, as the README says, on a port of our own."""
    folder.mkdir()
    config = ROOT / "accelerate_configs/cpu_two_processes.yaml"
    launcher = ["accelerate.commands.launch", "--config_file", config, "--main_process_port", free_port()]
    command = [sys.executable, "-m", *launcher, "-m", "tests.training.two_processes", folder, batch_size]
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=240)


def found(folder: Path, done: subprocess.CompletedProcess) -> list[dict]:
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(path.read_text()) for path in sorted(folder.glob("rank*.json"))]


def test_two_processes_train_as_one_and_keep_the_regressor_in_sync(tmp_path):
    """Global batch 16 both times; 65 validation windows, which neither 4 nor 2 x 4 divides."""
    data = make_windows(load_series(str(generated_csv(tmp_path, 400))), CONTEXT, HORIZON)
    for each in (tiny_teacher("itransformer").model, data.processor):
        each.save_pretrained(tmp_path / "teacher")
    (one,) = found(tmp_path / "one", run_forked(tmp_path / "one", main, str(tmp_path / "one"), 16))
    first, second = found(tmp_path / "two", launched(tmp_path / "two", 8))
    assert (one["world_size"], first["world_size"]) == (1, 2)
    assert first["regressor"] == pytest.approx(second["regressor"], abs=1e-6)
    assert first["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert first["terms"] == pytest.approx(one["terms"], abs=1e-5)
    assert first["eval_mse"] == pytest.approx(one["eval_mse"], rel=1e-5)
    assert first["regressor"] == pytest.approx(one["regressor"], abs=1e-4)
    assert one["stored"] == first["stored"] == second["stored"]
    assert len(one["stored"]) == 177
    assert one["cached"] == first["cached"] == second["cached"]
    assert sum(name.endswith(".safetensors") for name in one["cached"]) == 22  # of ten windows
    assert "saved at step 5" in one["stopped_at"]
    assert "saved at step 10" in first["stopped_at"]  # they vote every ten steps
    assert "saved at step 10" in second["stopped_at"]
