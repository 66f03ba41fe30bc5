"""scripts/cache_teacher.py fills the very store that distill.py looks for; where none fits, what is done instead."""

import json
import re
import shutil

import pytest

from tests.conftest import CONTEXT, HORIZON, tiny_patchtst, tiny_teacher
from tests.rounding import trained
from tests.scripts_helper import fails, generated_csv, run
from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.readable import readable_bytes
from timedistill_hf.cli.commands.distilling import DISTILL
from timedistill_hf.cli.parsing import parse_given
from timedistill_hf.data import load_data, load_series, make_windows
from timedistill_hf.distillation.settings import RunSettings
from timedistill_hf.distillation.signal import RunSignal
from timedistill_hf.distillation.students import RunStudent
from timedistill_hf.signal_store import folder as store_folder
from timedistill_hf.teachers import Teacher


LENGTHS = ("--context_length", CONTEXT, "--prediction_length", HORIZON)
QUICK = (
    *LENGTHS, "--disable_tqdm", "true", "--report_to", "none", "--max_steps", 2, "--controls", "none", "--hidden_size",
    8,
)  # fmt: skip
PAPER = ("--recipe", "paper")
BEST = ("--members", '{"architecture": "linear", "ridge": true}')


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Generated data, and the folders of two teachers."""
    folder = tmp_path_factory.mktemp("cache")
    data = make_windows(load_series(str(generated_csv(folder, 400))), CONTEXT, HORIZON)
    for name, model in (("one", tiny_teacher("itransformer").model), ("two", tiny_patchtst())):
        model.save_pretrained(folder / name)
        data.processor.save_pretrained(folder / name)
    return folder


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch):
    monkeypatch.setattr("timedistill_hf.plots.run.plot_run", lambda *_: [])


@pytest.fixture
def train_windows(here):
    """Finds which train windows a teacher has been run on since it was last asked."""
    windows = make_windows(load_series(str(here / "mine.csv")), CONTEXT, HORIZON).train
    rows = {item["past_values"].numpy().tobytes(): number for number, item in enumerate(windows)}
    ran, original = [], Teacher.forward

    def watched(self, past_values, *args, **kwargs):
        ran.extend(rows[past.numpy().tobytes()] for past in past_values if past.numpy().tobytes() in rows)
        return original(self, past_values, *args, **kwargs)

    def asked():
        found = sorted(set(ran))
        ran.clear()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Teacher, "forward", watched)
        asked.all = list(range(len(windows)))
        yield asked


def script(monkeypatch, capsys, name, here, *flags, teacher=("one",)):
    """What the script prints, and logs, on those data."""
    capsys.readouterr()
    teachers = [here / each for each in teacher]
    run(monkeypatch, name, "--dataset", here / "mine.csv", "--teacher", *teachers, *QUICK, *flags)
    captured = capsys.readouterr()
    return captured.out, captured.err


def distil(monkeypatch, capsys, here, output, *flags, teacher=("one",)):
    """The results of a run, and its log."""
    _, log = script(monkeypatch, capsys, "distill.py", here, "--output_dir", output, *flags, teacher=teacher)
    return json.loads((output / "results.json").read_text()), log


@pytest.mark.parametrize(
    ("flags", "teacher", "parts"),
    [
        (PAPER, ("one",), {"prediction_outputs", "feature"}),
        (BEST, ("one",), {"prediction_outputs"}),
        ((*BEST, "--teacher_mix", "validation"), ("one", "two"), {"prediction_outputs"}),
        (
            (*PAPER, "--feature_pooling", "mean", "--signal_dtype", "float16"),
            ("two",),
            {"prediction_outputs", "feature"},
        ),
    ],
)
def test_a_run_finds_what_was_stored_ahead(here, tmp_path, monkeypatch, capsys, train_windows, flags, teacher, parts):
    shared = tmp_path / "signals"
    flags = (*flags, "--signal_dir", shared)
    printed, log = script(monkeypatch, capsys, "cache_teacher.py", here, *flags, teacher=teacher)
    (folder,) = shared.iterdir()
    layout = json.loads((folder / "manifest.json").read_text())["layout"]
    assert set(layout["shapes"]) == parts
    assert layout["dtype"] == ("float16" if "float16" in flags else "float32")
    pattern = rf"{layout['num_windows']} windows, [\d.]+ kB as {layout['dtype']} in {folder}: [\d.]+ s, [\d,]+ windows"
    assert re.match(pattern, printed), printed
    assert f"finds it: --signal_dir {shared}" in printed
    assert "Teacher signal: about" in log
    assert train_windows() == train_windows.all
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    results, log = distil(monkeypatch, capsys, here, tmp_path / "run", *flags, teacher=teacher)
    assert results["teacher"]["signal"] == "stored"
    assert f"Teacher signal: found, {layout['num_windows']} windows" in log
    assert train_windows() == []
    assert list(shared.iterdir()) == [folder]
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == written

    printed, _ = script(monkeypatch, capsys, "cache_teacher.py", here, *flags, teacher=teacher)
    assert "there already" in printed
    assert train_windows() == []


def test_forecasts_only_are_for_a_run_without_feature_terms(here, tmp_path, monkeypatch, capsys, train_windows):
    flags = (*PAPER, "--signal_dir", tmp_path / "signals")
    printed, _ = script(monkeypatch, capsys, "cache_teacher.py", here, *flags, "--forecasts_only")
    assert "--teacher_signal forecasts" in printed
    train_windows()
    forecasts = (*flags, "--teacher_signal", "forecasts")
    results, log = distil(monkeypatch, capsys, here, tmp_path / "run", *forecasts)
    assert "only the forecasts are stored, the feature terms (beta) are off" in log
    assert results["teacher"]["signal"] == "stored forecasts"
    assert train_windows() == []
    card = (tmp_path / "run/README.md").read_text()
    assert "on its forecast, its feature unused" in " ".join(card.split())
    plain, _ = distil(monkeypatch, capsys, here, tmp_path / "plain", *flags, "--beta", 0)
    assert plain["teacher"]["signal"] == "stored"
    assert plain["models"]["student"]["mse"] == pytest.approx(results["models"]["student"]["mse"], rel=1e-5)
    assert len(list((tmp_path / "signals").iterdir())) == 1
    whole, _ = distil(monkeypatch, capsys, here, tmp_path / "whole", *flags)
    assert whole["models"]["student"]["mse"] != results["models"]["student"]["mse"]


def test_a_run_is_not_gone_on_with_without_its_features_or_in_another_precision(here, tmp_path, monkeypatch, capsys):
    def refused(*flags):
        command = ("--dataset", here / "mine.csv", "--teacher", here / "one", *QUICK, *PAPER, "--output_dir")
        return fails(monkeypatch, capsys, "distill.py", *command, tmp_path / "run", *flags)

    distil(monkeypatch, capsys, here, tmp_path / "run", *PAPER)
    (tmp_path / "run/results.json").unlink()
    assert "teacher_signal: 'auto, stored, live' -> 'forecasts'" in refused("--teacher_signal", "forecasts")
    assert "signal_dtype: 'float32' -> 'float16'" in refused("--signal_dtype", "float16")
    distil(monkeypatch, capsys, here, tmp_path / "run", *PAPER, "--teacher_signal", "live")


def limited(here, tmp_path, limit, *flags):
    """Those flags' signal with that limit of bytes, the teacher as it is heard, and its windows."""
    arguments = ["--dataset", here / "mine.csv", *QUICK, *PAPER, "--signal_limit_gb", limit / 1e9, *flags]
    arguments += ["--output_dir", tmp_path / "run"]
    settings = RunSettings.of(parse_given(DISTILL, list(map(str, arguments))))
    data = load_data(settings.data)
    students = RunStudent(settings)
    signal = RunSignal(settings, students.wants_feature(students.config(data)))
    return signal, signal.of(tiny_teacher("itransformer")), data.train


HALF = "`signal_dtype=float16`"
FORECASTS = "`teacher_signal=forecasts`, without the features"


@pytest.mark.parametrize(
    ("limit", "flags", "would_fit"),
    [
        # 217 windows of 3 channels: 62,496 bytes, 41,664 of them forecasts
        (62_496, "", None),
        (62_495, "", f"{HALF} (31.2 kB); {FORECASTS} (41.7 kB); {HALF} {FORECASTS} (20.8 kB)"),
        (41_663, "", f"{HALF} (31.2 kB); {HALF} {FORECASTS} (20.8 kB)"),
        (31_247, "", f"{HALF} {FORECASTS} (20.8 kB)"),
        (20_831, "", ""),
        (31_248, "--signal_dtype float16", None),
        (31_247, "--signal_dtype float16", f"{FORECASTS} (20.8 kB)"),
        (41_664, "--teacher_signal forecasts", None),
        (41_663, "--teacher_signal forecasts", f"{HALF} (20.8 kB)"),
        (41_664, "--beta 0", None),
        (41_663, "--beta 0", f"{HALF} (20.8 kB)"),
    ],
)
def test_what_would_fit_in_the_place_of_what_does_not_is_named(here, tmp_path, limit, flags, would_fit, caplog):
    signal, teacher, windows = limited(here, tmp_path, limit, *flags.split())
    refusal = signal.refusal(teacher, windows)
    if would_fit is None:
        assert refusal is None
        assert signal.may_be_stored(teacher, windows)
        return
    fitting = f"{would_fit} would fit; or " if would_fit else ""
    assert f"free: {fitting}raise the limit, name another `signal_dir`, or pass `teacher_signal=live`" in refusal
    assert f"`signal_limit_gb` allows {readable_bytes(limit)}, and the disk of '{tmp_path}" in refusal
    if "forecasts" in flags:
        with pytest.raises(InputError, match="the teacher's signal takes"):
            signal.may_be_stored(teacher, windows)
    else:
        assert not signal.may_be_stored(teacher, windows)
        assert f"{refusal}. The teacher runs in every step instead, which teaches the same" in caplog.text
    assert not (tmp_path / "run").exists()


def test_a_full_disk_counts_as_the_limit_does(here, tmp_path, monkeypatch):
    signal, teacher, windows = limited(here, tmp_path, 10**9)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(store_folder.shutil, "disk_usage", lambda _: usage._replace(free=41_700))
    assert f"has 41.7 kB free: {HALF} (31.2 kB); {FORECASTS} (41.7 kB); {HALF}" in signal.refusal(teacher, windows)


def test_where_it_does_not_fit_a_run_is_live_and_says_so(here, tmp_path, monkeypatch, capsys):
    live, _ = distil(monkeypatch, capsys, here, tmp_path / "live", *PAPER, "--teacher_signal", "live")
    small = ("--signal_limit_gb", "0.00005")
    results, log = distil(monkeypatch, capsys, here, tmp_path / "auto", *PAPER, *small)
    assert log.count("the teacher's signal takes 62.5 kB as float32") == 1
    assert (results["teacher"]["signal"], live["teacher"]["signal"]) == ("live", "live")
    assert results["models"]["student"]["mse"] == trained(live["models"]["student"]["mse"])
    half, _ = distil(monkeypatch, capsys, here, tmp_path / "half", *PAPER, *small, "--signal_dtype", "float16")
    assert half["teacher"]["signal"] == "stored"
    assert half["models"]["student"]["mse"] == pytest.approx(live["models"]["student"]["mse"], rel=1e-3)


def test_what_is_stored_already_needs_no_room(here, tmp_path, monkeypatch, capsys, train_windows):
    flags = (*PAPER, "--signal_dir", tmp_path / "signals")
    script(monkeypatch, capsys, "cache_teacher.py", here, *flags)
    train_windows()
    for kind in ("auto", "stored"):
        small = ("--signal_limit_gb", 0, "--teacher_signal", kind)
        results, log = distil(monkeypatch, capsys, here, tmp_path / kind, *flags, *small)
        assert results["teacher"]["signal"] == "stored"
        assert "signal takes" not in log
    assert train_windows() == []


def test_an_estimate_writes_nothing(here, tmp_path, monkeypatch, capsys, train_windows):
    flags = (*PAPER, "--signal_dir", tmp_path / "signals", "--output_dir", tmp_path / "run")
    printed, _ = script(monkeypatch, capsys, "cache_teacher.py", here, *flags, "--estimate")
    assert re.match(r"Estimate: 217 windows, 62\.5 kB as float32 in .*, about .* on 1 process; nothing", printed)
    assert train_windows() == train_windows.all[:64]
    printed, _ = script(
        monkeypatch, capsys, "cache_teacher.py", here, *flags, "--estimate", "--signal_limit_gb", "0.00005"
    )
    assert "It would be refused: the teacher's signal takes 62.5 kB" in printed
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_stored_ahead_is_said(here, tmp_path, monkeypatch, capsys):
    def refused(*flags):
        return fails(monkeypatch, capsys, "cache_teacher.py", "--dataset", here / "mine.csv", *QUICK, *flags)

    there, one = ("--signal_dir", tmp_path / "signals"), ("--teacher", here / "one")
    assert "--signal_dir is missing" in refused(*one)
    assert "--teacher patchtst is a family: train one" in refused(*there, "--teacher", "patchtst")
    assert "is stored already, distill takes it" in refused(*there, "--teacher", "forecasts.parquet")
    assert "a live teacher's signal is not stored" in refused(*there, *one, "--teacher_signal", "live")
    assert "has context_length=48, the student and its data 40" in refused(*there, *one, "--context_length", 40)
    (tmp_path / "file").touch()
    for script_name in ("cache_teacher.py", "distill.py"):
        command = ("--dataset", here / "mine.csv", *QUICK, *one, "--output_dir", tmp_path / "run")
        error = fails(monkeypatch, capsys, script_name, *command, "--signal_dir", tmp_path / "file")
        assert "file' is a file: name another --signal_dir" in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
