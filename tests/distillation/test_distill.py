"""`td.distill`: whatever data, whatever teacher, in one call; and what it gives."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import datasets
import numpy as np
import pandas as pd
import pytest
import torch

import timedistill_hf as td
from tests.conftest import tiny_patchtst, tiny_teacher
from tests.scripts_helper import generated_csv
from timedistill_hf.data import load_series, make_windows, synthetic_series
from timedistill_hf.distillation.teachers import _code_of


CONTEXT, HORIZON = 48, 16
LENGTHS = {"context_length": CONTEXT, "prediction_length": HORIZON}
QUICK = {
    "recipe": "paper",
    "max_steps": 2,
    "hidden_size": 8,
    "alpha": 1.0,
    "beta": 0.0,
    "disable_tqdm": True,
    "report_to": "none",
    "controls": ["linear"],
}


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    return generated_csv(tmp_path_factory.mktemp("csv"), 400)


def last_day(past_values: np.ndarray) -> np.ndarray:
    """The last horizon once more, in the data's units."""
    assert past_values.ndim == 3
    return past_values[:, -HORIZON:]


def repeated_errors(csv) -> float:
    """Test MSE, standardised, of repeating the last horizon, by pandas and numpy alone."""
    values = pd.read_csv(csv).drop(columns="date").to_numpy()
    train = values[: int(0.7 * len(values))]
    scaled = (values - train.mean(axis=0)) / train.std(axis=0)
    first = len(values) - int(0.2 * len(values))
    errors = [
        scaled[row : row + HORIZON] - scaled[row - HORIZON : row] for row in range(first, len(values) - HORIZON + 1)
    ]
    return float(np.mean(np.square(errors)))


def test_a_function_teaches_from_a_file(csv, tmp_path):
    result = td.distill(csv, last_day, output_dir=tmp_path / "run", **LENGTHS, **QUICK)
    assert result.results.teacher.name == "last_day"
    assert result.results.models["teacher"].mse == pytest.approx(repeated_errors(csv), rel=1e-4)
    assert isinstance(result.student, td.TimeDistillForPrediction)
    board = result.leaderboard()
    assert list(board.columns) == ["model", "MSE", "MAE", "MASE", "parameters", "milliseconds"]
    assert set(board["model"]) == {"student", "teacher", "one linear layer"}
    assert board["MSE"].is_monotonic_increasing
    assert len(result.plot().axes) > 0
    history = pd.read_csv(csv)
    forecast = result.forecaster.predict(history.drop(columns="date").to_numpy()[-CONTEXT:])
    assert forecast.shape == (HORIZON, 3)
    again = td.DistillResult(tmp_path / "run")
    assert again.results == result.results


def windows_of(csv):
    return make_windows(load_series(str(csv)), CONTEXT, HORIZON)


DATA = {
    "frame": lambda csv: pd.read_csv(csv),
    "data set": lambda csv: datasets.Dataset.from_pandas(pd.read_csv(csv)),
    "series": lambda csv: load_series(str(csv)),
    "windows": windows_of,
}


def test_all_kinds_of_data_are_the_same_data(csv, tmp_path):
    known = td.distill(csv, last_day, output_dir=tmp_path / "file", **LENGTHS, **QUICK).results
    for name, make in DATA.items():
        lengths = {} if name == "windows" else LENGTHS
        found = td.distill(make(csv), last_day, output_dir=tmp_path / name, **lengths, **QUICK).results
        assert found.data.fingerprint == known.data.fingerprint, name
        for role, score in known.models.items():
            assert found.models[role].mse == pytest.approx(score.mse, rel=1e-5), (name, role)


def test_a_table_may_have_a_column_called_name(csv, tmp_path):
    frame = pd.read_csv(csv).melt("date", var_name="name", value_name="y")
    result = td.distill(frame, last_day, id_column="name", output_dir=tmp_path / "run", **LENGTHS, **QUICK)
    assert result.results.settings["dataset"] == "DataFrame"
    assert result.results.models["teacher"].mse == pytest.approx(repeated_errors(csv), rel=1e-4)


def test_models_and_lists_of_teachers(csv, tmp_path):
    data = windows_of(csv)
    model = tiny_patchtst()
    with torch.no_grad():
        past = torch.stack([data.test[index]["past_values"] for index in range(len(data.test))])
        future = torch.stack([data.test[index]["future_values"] for index in range(len(data.test))])
        expected = (model(past_values=past).prediction_outputs - future).square().mean().item()
    result = td.distill(data, [model, last_day], output_dir=tmp_path / "run", **QUICK)
    models = result.results.models
    assert set(models) >= {"student", "teacher", "teacher_patchtst", "teacher_last_day"}
    assert models["teacher_patchtst"].mse == pytest.approx(expected, rel=1e-4)
    assert models["teacher_last_day"].mse == pytest.approx(repeated_errors(csv), rel=1e-4)


def test_a_finished_run_and_another_teacher_are_refused(csv, tmp_path):
    def first_day(past_values):
        return past_values[:, :HORIZON]

    td.distill(csv, last_day, output_dir=tmp_path / "run", **LENGTHS, **QUICK)
    with pytest.raises(td.InputError, match=r"holds results already: name another `output_dir`, or .*overwrite=True"):
        td.distill(csv, last_day, output_dir=tmp_path / "run", **LENGTHS, **QUICK)
    (tmp_path / "run/results.json").unlink()
    with pytest.raises(td.InputError, match="teacher_fingerprint"):
        td.distill(csv, first_day, output_dir=tmp_path / "run", **LENGTHS, **QUICK)


@pytest.mark.parametrize(
    ("data", "teacher", "settings", "message"),
    [
        ("synthetic", "patchtst", {"hiden_size": 3}, "hiden_size=3 is no setting; did you mean 'hidden_size'?"),
        ("synthetic", 3, {}, "a teacher of type 'int': expected a family's name"),
        ("synthetic", torch.nn.Linear(3, 3), {}, "a teacher of type 'Linear'"),
        ("synthetic", "patchtst", {"recipe": "bets"}, "recipe='bets': expected one of paper, best; did you mean"),
        (object(), "patchtst", {}, "'object' is no kind of series"),
        ("synthetic", "patchtst", {"alpha": -1}, "alpha=-1"),
        ("synthetic", "patchtst", {"dataset": "my.csv"}, "dataset='my.csv': give the data as the first argument"),
        ("synthetic", "patchtst", {"config": "x.yaml"}, "config='x.yaml': a settings file is for the command line"),
        ("synthetic", "patchtst", {"teacher_mix": "meen"}, "teacher_mix='meen': expected one of mean, validation"),
        ("synthetic", "patchtst", {"teacher_signal": "forcasts"}, "teacher_signal='forcasts': expected one of auto"),
        ("synthetic", "patchtst", {"signal_dtype": "fp16"}, "signal_dtype='fp16': expected one of float32, float16"),
        (synthetic_series(600), "patchtst", {"season": 12}, "season=12 is for data that are yet to be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_before_any_work(tmp_path, data, teacher, settings, message):
    with pytest.raises(td.InputError) as caught:
        td.distill(data, teacher, output_dir=tmp_path / "run", **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_windows_bring_their_lengths(csv, tmp_path):
    with pytest.raises(td.InputError, match="context_length=96: the windows have 48"):
        td.distill(windows_of(csv), last_day, context_length=96, output_dir=tmp_path / "run", **QUICK)


def test_as_the_first_thing_in_a_new_process(csv, tmp_path):
    code = (
        "import timedistill_hf as td\n"
        f"result = td.distill({str(csv)!r}, teacher='itransformer', prediction_length=16, context_length=48, "
        f"output_dir={str(tmp_path / 'run')!r}, max_steps=2, hidden_size=8, recipe='paper', teacher_epochs=0.3, "
        "disable_tqdm=True, report_to='none', controls='none')\n"
        "print(len(result.leaderboard()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split()[-1:] == ["2"], done.stderr[-2000:]


def scaled(factor: float):
    return lambda past_values: factor * past_values[:, -HORIZON:]


def by(past_values, scale=1.0):
    return scale * past_values.mean(1)


def test_a_function_is_known_by_what_it_does_and_not_by_where_it_lies():
    def means(past_values):
        return past_values.mean(1)

    def largest(past_values):
        return past_values.max(1)

    apart = [means, largest, scaled(1.0), scaled(2.0), partial(by, scale=2.0), partial(by, scale=3.0), by]
    assert len({repr(_code_of(function)) for function in apart}) == len(apart)
    assert _code_of(scaled(2.0)) == _code_of(scaled(2.0))
    assert " at 0x" not in repr([_code_of(function) for function in apart])


def test_a_model_that_is_given_is_not_a_family_to_train(csv, tmp_path):
    """The recipe's configuration of a teacher is for one that is trained here; the data's name is the benchmark's."""
    series = replace(load_series(str(csv)), name="etth2")
    model = td.load_teacher(save_teacher(tmp_path / "teacher"))
    result = td.distill(series, model, output_dir=tmp_path / "run", **LENGTHS, **QUICK)
    settings = result.results.settings
    assert (settings["teacher"], settings["teacher_config"]) == (["itransformer teacher"], None)
    assert settings["dataset"] == "etth2"
    assert result.results.teacher.name == "itransformer"


def save_teacher(folder) -> str:
    tiny_teacher("itransformer").model.save_pretrained(folder)
    return str(folder)
