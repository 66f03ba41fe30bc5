"""`pipeline("time-series-forecasting")`: with the package, and from a saved folder without it."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForTimeSeriesPrediction, pipeline

from tests.forecast.test_predict_df import KNOWN, L, S, forecaster, noise, one, series
from tests.rounding import frames_close
from tests.student.models import tiny
from tests.test_models_travel import HIDE
from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillProcessor, TimeSeriesForecastingPipeline
from timedistill_hf._utils.errors import InputError


TASK = "time-series-forecasting"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    model, path = forecaster(), tmp_path_factory.mktemp("saved") / "student"
    model.model.save_pretrained(path)
    model.processor.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def pipe(folder):
    return pipeline(TASK, model=str(folder))


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_the_package_serves_a_saved_folder_without_trusting_its_code(folder, pipe):
    assert type(pipe) is TimeSeriesForecastingPipeline
    assert pipe.settings["mean"] == [5.0, -1.0]
    config = json.loads((folder / "config.json").read_text())
    assert config["custom_pipelines"][TASK]["impl"] == "pipeline_timedistill.TimeSeriesForecastingPipeline"
    assert "custom_pipelines" not in TimeDistillConfig.from_pretrained(folder).to_dict()
    assert "custom_pipelines" not in forecaster().model.config.to_dict()


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor, pd.Series, list, tuple, lambda x: x.astype("float32")])
def test_one_series_of_any_kind(pipe, convert):
    history = 10 * noise(L + 7)
    answer = pipe(convert(history))
    assert set(answer) == {"prediction_outputs"}
    assert answer["prediction_outputs"].dtype == np.float64
    close(answer["prediction_outputs"], one(pipe.model, history))


def test_a_list_of_different_lengths_is_answered_in_its_order(pipe):
    histories = [noise(steps, steps) * steps for steps in (5, 80, L, 1, 33)]
    answers = pipe(histories)
    assert len(answers) == 5
    for history, answer in zip(histories, answers, strict=True):
        close(answer["prediction_outputs"], one(pipe.model, history))
    for size in (1, 2, 100):
        again = pipe(histories, batch_size=size)
        for first, second in zip(answers, again, strict=True):
            close(first["prediction_outputs"], second["prediction_outputs"])
    assert pipe([]) == []


def test_channels_of_training_have_its_scaler(pipe):
    two = np.stack([5 + noise(40), noise(40, 1)], axis=1)
    expected = np.stack([one(pipe.model, two[:, k], KNOWN[name]) for k, name in enumerate("ab")], axis=1)
    close(pipe(two)["prediction_outputs"], expected)
    close(pipe(np.stack([two, two + 1]))["prediction_outputs"][0], expected)
    own = np.stack([one(pipe.model, two[:, k]) for k in range(2)], axis=1)
    close(pipe(two, scaling="history")["prediction_outputs"], own)
    three = pipe(np.concatenate([two, two[:, :1]], axis=1))["prediction_outputs"]
    close(three, np.concatenate([own, own[:, :1]], axis=1))
    mixed = pipe([two, noise(40), {"past_values": two[:, 1], "id": "b"}, {"past_values": noise(40), "id": "new"}])
    close(mixed[0]["prediction_outputs"], expected)
    close(mixed[1]["prediction_outputs"], one(pipe.model, noise(40)))
    close(mixed[2]["prediction_outputs"], expected[:, 1])
    assert [answer.get("id") for answer in mixed] == [None, None, "b", "new"]
    with pytest.raises(ValueError, match="input 1 is no series of the model's training"):
        pipe([two, noise(40)], scaling="training")


def test_missing_values_by_nan_none_mask_and_sentinel(folder):
    history = noise(40)
    history[[20, 33]] = np.nan
    pipe = pipeline(TASK, model=forecaster().model, feature_extractor=forecaster(missing_value=-9.0).processor)
    filled = np.where(np.isnan(history), 1.0, history)
    forms = [
        history,
        [None if np.isnan(value) else value for value in history],
        {"past_values": filled.tolist(), "past_observed_mask": ~np.isnan(history)},
        np.nan_to_num(history, nan=-9.0),
    ]
    for answer in pipe(forms):
        close(answer["prediction_outputs"], one(pipe.model, history))
    assert np.isnan(pipe(np.full(30, np.nan))["prediction_outputs"]).all()


def test_streams_are_read_as_they_are_used(pipe):
    read = []

    def stream():
        for number in range(3000):
            read.append(number)
            yield noise(20, number % 3)

    answers = pipe(stream())
    first = next(answers)
    assert len(read) == 1024
    rest = list(answers)
    assert len(rest) == 2999
    close(first["prediction_outputs"], one(pipe.model, noise(20)))
    close(rest[-1]["prediction_outputs"], one(pipe.model, noise(20, 2)))

    class Data(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {"past_values": noise(20, index), "id": index}

    found = list(pipe(Data()))
    assert [answer["id"] for answer in found] == [0, 1, 2]
    close(found[2]["prediction_outputs"], one(pipe.model, noise(20, 2)))


def test_a_frame_is_forecast_as_predict_df_does(pipe):
    frame = pd.concat([series("b", noise(40)), series("new", noise(25, 1), "2024-03-01"), series("007", noise(60, 2))])
    model = forecaster()
    frames_close(pipe(frame), model.predict_df(frame))
    other = frame.rename(columns={"item": "shop", "ds": "when", "y": "sales"})
    columns = {"id_column": "shop", "timestamp_column": "when", "target_columns": ["sales"]}
    frames_close(pipe(other, **columns), model.predict_df(other, **columns))
    zoned = frame.assign(ds=frame["ds"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"))
    frames_close(pipe(zoned, scaling="history"), model.predict_df(zoned, scaling="history"))
    wide = series("x", noise(40)).drop(columns="item").assign(z=noise(40, 1))
    frames_close(pipe(wide), model.predict_df(wide))
    with pytest.raises(InputError, match="'history' has no column 'shop'"):
        pipe(frame, id_column="shop")
    with pytest.raises(InputError, match="column 'item' of 'history' holds 'x', no number: name the value columns"):
        pipe(frame.assign(item="x"), id_column="y", target_columns=["item"])


@pytest.mark.parametrize("zone", ["Europe/Berlin", None])
def test_text_with_a_changing_offset_is_absolute_time(pipe, zone):
    """As a CSV file holds the clock around the end of summer time; the answer is in the zone, or in UTC."""
    frame = series("b", noise(60), "2024-10-26")
    clock = frame["ds"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    text = frame.assign(ds=clock.map(lambda stamp: stamp.isoformat(sep=" ")))
    assert text["ds"].str[-6:].nunique() == 2
    found = pipe(text, time_zone=zone)
    expected = pipe(frame.assign(ds=clock.dt.tz_convert(zone or "UTC")))
    assert str(found["ds"].dt.tz) == (zone or "UTC")
    frames_close(found, expected, check_dtype=False)


def test_a_student_bound_to_its_channels_takes_all_of_them():
    bound = tiny("two_branch", num_input_channels=2, hidden_norm="batchnorm")
    pipe = pipeline(TASK, model=bound, feature_extractor=forecaster().processor)
    two = np.stack([5 + noise(40), noise(40, 1)], axis=1)
    expected = Forecaster(bound, forecaster().processor).predict(two)
    close(pipe([two, two * 2])[0]["prediction_outputs"], expected)
    close(pipe(np.stack([two, two]))["prediction_outputs"][1], expected)
    with pytest.raises(ValueError, match="input 1 has 1 channels, the model is bound to the 2"):
        pipe([two, noise(40)])


def test_without_a_processor_every_series_has_its_own_scaler(caplog):
    pipe = pipeline(TASK, model=forecaster().model)
    close(pipe(noise(40))["prediction_outputs"], one(pipe.model, noise(40)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([np.zeros(5), "text"], "input 1 holds no numbers"),
        (np.zeros((2, 3, 4, 5)), "shape .2, 3, 4, 5.: expected"),
        (np.zeros(0), "shape .0,.: expected"),
        ({"values": [1.0]}, "input 0 has the keys .'values'.: expected past_values"),
        ([np.array([1.0, np.inf])], "input 0 holds an infinite value"),
    ],
)
def test_unusable_inputs_are_named(pipe, given, message):
    with pytest.raises(ValueError, match=message):
        pipe(given)


def test_unknown_options_are_named(pipe):
    with pytest.raises(TypeError, match="'quantiles' is no parameter"):
        pipe(noise(30), quantiles=[0.1])
    with pytest.raises(ValueError, match="'freq' is for DataFrames"):
        pipe(noise(30), freq="h")
    with pytest.raises(ValueError, match="scaling='x': expected"):
        pipe(noise(30), scaling="x")


def test_remote_code_reads_tables_by_the_installed_package(folder, tmp_path):
    frame = pd.concat([series("b", noise(40)), series("new", noise(25, 1), "2024-03-01")])
    frame["ds"] = frame["ds"].dt.tz_localize("UTC").dt.tz_convert("America/New_York")
    frame.to_parquet(tmp_path / "frame.parquet")
    command = [sys.executable, "-c", WITH_PACKAGE, str(folder), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    frames_close(pd.read_parquet(tmp_path / "answers.parquet"), forecaster().predict(frame))


WITH_PACKAGE = """
import sys
import pandas as pd
from transformers import pipeline
pipe = pipeline(model=sys.argv[1], trust_remote_code=True)
assert "timedistill_hf" not in sys.modules
pipe(pd.read_parquet(sys.argv[2] + "/frame.parquet")).to_parquet(sys.argv[2] + "/answers.parquet")
"""
WITHOUT_PACKAGE = (
    "import sys"
    + HIDE
    + """
import numpy as np
from transformers import pipeline
pipe = pipeline(model=sys.argv[1], trust_remote_code=True)
pipe.model.register_forward_hook(lambda *_: sys.exit("the student ran itself, not its fused copy"))
arrays = [values for values in np.load(sys.argv[2]).values()]
assert "pandas" not in sys.modules
answers = [answer["prediction_outputs"] for answer in pipe(arrays, batch_size=2)]
assert "pandas" not in sys.modules
import pandas as pd
try:
    pipe(pd.DataFrame({"y": arrays[0]}))
except ImportError as error:
    assert str(error).startswith("a DataFrame is read by the package: pip install timedistill_hf"), error
else:
    sys.exit("a table was read without the package")
pipe.save_pretrained("again")
again = pipeline(model="again", trust_remote_code=True)
assert all((a == b["prediction_outputs"]).all() for a, b in zip(answers, again(arrays, batch_size=2), strict=True))
np.savez("answers.npz", *answers)
assert "timedistill_hf" not in sys.modules
"""
)


def test_a_fresh_process_without_the_package_gives_the_same(folder, pipe, tmp_path):
    arrays = [noise(40), noise(12, 1), np.stack([noise(50, 2), noise(50, 3)], axis=1)]
    np.savez(tmp_path / "arrays.npz", *arrays)
    command = [sys.executable, "-I", "-c", WITHOUT_PACKAGE, str(folder), "arrays.npz"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = np.load(tmp_path / "answers.npz").values()
    for answer, expected in zip(answers, pipe(arrays, batch_size=2), strict=True):
        close(answer, expected["prediction_outputs"])
    processor = TimeDistillProcessor.from_pretrained(tmp_path / "again")
    assert processor.to_dict() == TimeDistillProcessor.from_pretrained(folder).to_dict()


def test_saved_by_the_pipeline_it_is_a_whole_student(folder, pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == sorted(
        path.name for path in folder.iterdir()
    )
    again = Forecaster.from_pretrained(str(tmp_path / "copy"))
    frame = series("b", noise(40))
    frames_close(again.predict_df(frame), pipe(frame))
    assert type(AutoModelForTimeSeriesPrediction.from_pretrained(tmp_path / "copy")) is type(pipe.model)


def test_thousands_of_series_take_a_few_passes(pipe):
    calls = []
    handle = pipe.inference_copy.register_forward_hook(lambda *_: calls.append(1))
    answers = pipe([noise(30, 0)] * 2000)
    handle.remove()
    assert len(answers) == 2000
    assert len(calls) == 1
    assert answers[0]["prediction_outputs"].shape == (S,)
