"""scripts/plot.py makes the plots of a finished run again, byte for byte."""

import json
import shutil

import pytest

from tests.cards.helper import ROOT
from tests.scripts_helper import fails, generated_csv, run
from timedistill_hf.plots.run import PLOTS


TINY = ["--context_length", "48", "--prediction_length", "16", "--disable_tqdm", "true"]
SMALL = ["--hidden_size", "8", "--controls", "none", "--step_limit", "3", "--logging_strategy", "steps"]
SMALL += ["--logging_steps", "1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    csv = generated_csv(folder, 400)
    with pytest.MonkeyPatch.context() as patch:
        run(
            patch, "distill.py", "--recipe", "paper", "--dataset", csv, "--output_dir", folder / "run", *TINY, *SMALL,
            "--teacher", "patchtst", "itransformer", "--teacher_mix", "validation",
        )  # fmt: skip
    return folder / "run"


def test_a_run_writes_them_beside_its_card_and_the_script_the_same_again(finished, tmp_path, monkeypatch, capsys):
    card = (finished / "README.md").read_text()
    for name in PLOTS:
        assert f"]({name})" in card
    capsys.readouterr()
    run(monkeypatch, "plot.py", "--run", finished, "--output", tmp_path / "plots")
    assert capsys.readouterr().out.split() == [str(tmp_path / "plots" / name) for name in PLOTS]
    for name in PLOTS:
        assert (tmp_path / "plots" / name).read_bytes() == (finished / name).read_bytes(), name


def test_without_its_teacher_a_run_is_plotted_with_a_warning(finished, tmp_path, monkeypatch, capsys):
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/teacher")
    run(monkeypatch, "plot.py", "--run", tmp_path / "run")
    assert (tmp_path / "run/plots/forecast.png").is_file()
    assert "Plotted without the teacher" in capsys.readouterr().err


def test_errors_are_one_line(finished, tmp_path, monkeypatch, capsys):
    plot = (monkeypatch, capsys, "plot.py")
    assert "either --run" in fails(*plot)
    assert "--output is missing" in fails(*plot, "--results", "x.json")
    assert "cannot be read" in fails(*plot, "--run", tmp_path / "none")
    (tmp_path / "results.json").write_text(json.dumps({"sides": []}))
    assert "holds no results" in fails(*plot, "--results", tmp_path / "results.json", "--output", tmp_path / "out")
    assert "are not those of" in fails(
        *plot, "--run", finished, "--output", tmp_path / "other", "--dataset", generated_csv(tmp_path, 500)
    )
    (tmp_path / "there").mkdir()
    (tmp_path / "there/mine.png").write_bytes(b"")
    assert "holds plots already" in fails(*plot, "--run", finished, "--output", tmp_path / "there")


def test_many_results_are_one_plot(tmp_path, monkeypatch):
    files = sorted((ROOT / "benchmarks/results/best").glob("*.json"))[::8]
    run(monkeypatch, "plot.py", "--results", *files, "--output", tmp_path / "plots")
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["accuracy.png"]
