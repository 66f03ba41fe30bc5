"""The main job with a table of forecasts in the place of a teacher."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from tests.conftest import tiny_teacher
from tests.scripts_helper import fails, generated_csv, run
from timedistill_hf.data import SplitSpec, load_series, make_windows


ROWS = 400
LENGTHS = ("--context_length", 48, "--prediction_length", 16, "--split", "240,80,80")
QUICK = (
    *LENGTHS, "--recipe", "paper", "--architecture", "mlp", "--hidden_size", 8, "--max_steps", 3, "--report_to",
    "none", "--disable_tqdm", "True", "--controls", "student_no_kd",
)  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Generated data, and a teacher's folder."""
    folder = tmp_path_factory.mktemp("tables")
    source = generated_csv(folder, ROWS)
    data = make_windows(load_series(str(source)), 48, 16, SplitSpec(rows=(240, 80, 80)))
    tiny_teacher("itransformer").model.save_pretrained(folder / "teacher")
    data.processor.save_pretrained(folder / "teacher")
    return folder


@pytest.fixture(scope="module")
def table(here):
    patch = pytest.MonkeyPatch()
    target = here / "mine.parquet"
    run(patch, "write_forecasts.py", "--dataset", here / "mine.csv", *LENGTHS, "--model", here / "teacher",
        "--output", target)  # fmt: skip
    patch.undo()
    return target


def distil(monkeypatch, here, table, output, *flags):
    flags = ("--dataset", here / "mine.csv", *QUICK, "--teacher", table, "--output_dir", output, *flags)
    run(monkeypatch, "distill.py", *flags)
    return json.loads((output / "results.json").read_text())


def test_a_table_teaches_as_the_model_does_that_wrote_it(here, table, tmp_path, monkeypatch):
    found = distil(monkeypatch, here, table, tmp_path / "table", "--beta", 0)
    live = distil(monkeypatch, here, here / "teacher", tmp_path / "live", "--beta", 0)
    assert found["teacher"]["name"] == "mine"
    assert found["teacher"]["signal"] == "stored"
    assert found["teacher"]["windows"] == {"train": 177, "validation": 65, "test": 65}
    assert found["teacher"]["validation_mse"] > 0
    assert found["models"]["teacher"]["mse"] == pytest.approx(live["models"]["teacher"]["mse"], rel=1e-4)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("table", "live"))
    assert all(np.allclose(one[name], other[name], atol=1e-4) for name in other)
    assert not (tmp_path / "table/teacher_signal").exists()
    assert (tmp_path / "table/forecast.png").exists()


def test_a_run_that_was_cut_off_goes_on_with_the_same_forecasts_only(here, table, tmp_path, monkeypatch, capsys):
    own, folder = tmp_path / "mine.parquet", tmp_path / "run"
    shutil.copy(table, own)
    whole = distil(monkeypatch, here, own, folder, "--beta", 0)
    (folder / "results.json").unlink()  # as if it had been killed before its last act
    again = distil(monkeypatch, here, own, folder, "--beta", 0)
    assert again["models"]["student"]["mse"] == whole["models"]["student"]["mse"]
    (folder / "results.json").unlink()
    other = pd.read_parquet(own)
    other.assign(forecast=other["forecast"].map(lambda values: values + 1)).to_parquet(own)
    with pytest.raises(SystemExit) as caught:
        distil(monkeypatch, here, own, folder, "--beta", 0)
    assert caught.value.code == 2
    assert "holds a run with other settings (there -> here): teacher_fingerprint: " in capsys.readouterr().err


def test_the_plots_are_drawn_again_with_the_table(drawn, here, table, tmp_path, monkeypatch, caplog):
    distil(monkeypatch, here, table, tmp_path / "run", "--beta", 0)
    assert "a table of forecasts, without a model" in (tmp_path / "run/README.md").read_text()
    run(monkeypatch, "plot.py", "--run", tmp_path / "run", "--output", tmp_path / "plots")
    assert "Plotted without the teacher" not in caplog.text
    for name in ("forecast.png", "multi_scale.png", "multi_period.png"):
        assert (tmp_path / "plots" / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name


def test_one_that_lacks_windows_is_scored_on_none(here, table, tmp_path, monkeypatch, caplog, capsys):
    frame = pd.read_parquet(table)
    origins = np.sort(frame["origin"].unique())
    kept = frame[frame["origin"].isin(origins[:177:4])]
    (tmp_path / "some").mkdir()
    kept.to_parquet(tmp_path / "some/quarter.parquet")
    found = distil(
        monkeypatch,
        here,
        tmp_path / "some/quarter.parquet",
        tmp_path / "run",
        "--beta",
        0,
        "--signal_dir",
        tmp_path / "s",
    )
    assert found["teacher"]["windows"] == {"train": 45, "validation": 0, "test": 0}
    assert "validation_mse" not in found["teacher"]
    assert set(found["models"]) == {"student", "student_no_kd"}
    assert "Teacher quarter: windows with a forecast: train 45 of 177" in caplog.text + capsys.readouterr().err
    assert "quarter" in (tmp_path / "run/README.md").read_text()


def test_the_features_are_off_and_the_log_says_so(here, table, tmp_path, monkeypatch, capsys, caplog):
    distil(monkeypatch, here, table, tmp_path / "run", "--beta", 1)
    assert "has no feature: the feature terms (beta) are off" in caplog.text + capsys.readouterr().err


def test_the_default_recipe_takes_a_table(here, table, tmp_path, monkeypatch):
    flags = ("--dataset", here / "mine.csv", *LENGTHS, "--teacher", table, "--output_dir", tmp_path / "run")
    members = (
        "--members", '{"architecture": "linear", "ridge": true}', '{"architecture": "linear", "input_noise": 0.3}',
    )  # fmt: skip
    run(
        monkeypatch, "distill.py", *flags, *members, "--step_limit", 2, "--report_to", "none", "--disable_tqdm", "True"
    )
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["teacher"]["name"] == "mine"
    assert len(results["members"]) == 4


def test_what_a_table_cannot_do_is_said(here, table, tmp_path, monkeypatch, capsys):
    def refused(*flags):
        arguments = ("--dataset", here / "mine.csv", *QUICK, "--output_dir", tmp_path / "no", *flags)
        return fails(monkeypatch, capsys, "distill.py", *arguments)

    assert "a table of forecasts is a teacher on its own" in refused("--teacher", table, "patchtst")
    assert "--teacher_signal live with" in refused("--teacher", table, "--teacher_signal", "live")
    assert "no.parquet': there is no such file" in refused("--teacher", "no.parquet")
    frame = pd.read_parquet(table)
    frame.assign(series="load_7").to_parquet(tmp_path / "ids.parquet")
    assert "have no series 'load_7'" in refused("--teacher", tmp_path / "ids.parquet")
    assert "a forecast has 16 steps, the task 24" in refused("--teacher", table, "--prediction_length", 24)
    assert not (tmp_path / "no").exists()
    assert "timesfm is not trained here" in refused("--teacher", "timesfm")
    flags = ("--dataset", here / "mine.csv", *LENGTHS, "--model", here / "teacher", "--output")
    assert "mine.parquet' exists" in fails(monkeypatch, capsys, "write_forecasts.py", *flags, table)
    assert "ends in .parquet" in fails(monkeypatch, capsys, "write_forecasts.py", *flags, "x.csv")
