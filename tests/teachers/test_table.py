"""Forecasts from a table: each window gets its own, whatever the table's form; what does not fit is said."""

import random

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_teacher
from timedistill_hf import TimeDistillForPrediction, TimeDistillTrainer, TimeDistillTrainingArguments
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import Series, SplitSpec, make_windows, synthetic_series
from timedistill_hf.data.windows import split_targets
from timedistill_hf.evaluation.evaluate_model import evaluate_model
from timedistill_hf.objective import TimeDistillObjective
from timedistill_hf.signal_store.quality import teacher_against_naive
from timedistill_hf.signal_store.reading import ForecastTable
from timedistill_hf.signal_store.table import TableTeacher, signal_from_table
from timedistill_hf.signal_store.writing import write_forecasts
from timedistill_hf.teachers.external import CallableTeacher
from timedistill_hf.training.closed_form import ClosedForm


COLUMN = "teacher_prediction_outputs"


@pytest.fixture(scope="module")
def frame(data) -> pd.DataFrame:
    """Random forecasts for all train windows, row by row, in the data's units."""
    generator = np.random.default_rng(3)
    rows = [
        {
            "series": name,
            "origin": data.series.timestamps[data.train.first_origin + window],
            "forecast": generator.normal(size=HORIZON) * 4 + 10,
        }
        for window in range(len(data.train))
        for name in data.series.columns
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0, ignore_index=True)


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    steps = frame.explode("forecast", ignore_index=True)
    steps["step"] = np.tile(np.arange(1, HORIZON + 1), len(frame))
    steps["forecast"] = steps["forecast"].astype(float)
    return steps.sample(frac=1, random_state=1, ignore_index=True)


def expected(frame, data, window):
    """Standardised `[S, C]`, by looking the rows up one by one."""
    origin = data.series.timestamps[data.train.first_origin + window]
    columns = []
    for name, mean, std in zip(data.series.columns, data.processor.mean, data.processor.std, strict=True):
        (row,) = frame[(frame["series"] == name) & (frame["origin"] == origin)]["forecast"]
        columns.append((np.asarray(row) - mean) / std)
    return torch.tensor(np.stack(columns, axis=1), dtype=torch.float32)


class Arrow:
    """A table of another library, polars say."""

    def __init__(self, table: pa.Table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


FORMS = {
    "a list a row": lambda frame, data, folder: frame,
    "a step a row": lambda frame, data, folder: tidy(frame),
    "a Parquet file": lambda frame, data, folder: written(frame, folder),
    "a Parquet file of steps": lambda frame, data, folder: written(
        tidy(frame).rename(columns={"series": "id"}), folder
    ),
    "row numbers": lambda frame, data, folder: frame.assign(
        origin=np.searchsorted(data.series.timestamps, frame["origin"].to_numpy())
    ),
    "times as text with a zone": lambda frame, data, folder: frame.assign(
        origin=frame["origin"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    ),
    "a longer forecast": lambda frame, data, folder: frame.assign(
        forecast=[np.append(forecast, 99.0) for forecast in frame["forecast"]]
    ),
    "a data set": lambda frame, data, folder: datasets.Dataset.from_pandas(frame).shuffle(seed=1),
    "an Arrow table": lambda frame, data, folder: pa.Table.from_pandas(frame),
    "any Arrow library": lambda frame, data, folder: Arrow(pa.Table.from_pandas(frame, preserve_index=False)),
    "categories": lambda frame, data, folder: frame.assign(series=frame["series"].astype("category")),
}


def written(frame, folder):
    frame.to_parquet(folder / "f.parquet", row_group_size=100)
    return folder / "f.parquet"


@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_window_gets_its_own_forecast(form, frame, data, tmp_path, monkeypatch):
    monkeypatch.setattr("timedistill_hf.signal_store.reading._BATCH_VALUES", 50 * HORIZON)
    windows = signal_from_table(FORMS[form](frame, data, tmp_path), data)
    assert len(windows) == len(data.train)
    for window in (0, 1, 88, 176, -1):
        item = windows[window]
        assert torch.allclose(item[COLUMN], expected(frame, data, window % 177), atol=1e-6)
        assert torch.equal(item["past_values"], data.train[window]["past_values"])
        assert "teacher_known" not in item
    with pytest.raises(IndexError):
        windows[177]


def test_what_a_model_writes_is_what_it_says(data, tmp_path):
    teacher = tiny_teacher("itransformer")
    path = write_forecasts(teacher, data, tmp_path / "it.parquet")
    table = TableTeacher(path, data)
    assert table.name == "it"
    assert all(table.covers(part) for part in ("train", "validation", "test"))
    assert table.has_stored_signal
    assert table.forecast_only() is table
    assert table.about() == {"name": "it", "windows": {"train": 177, "validation": 65, "test": 65}}
    for part in ("train", "validation", "test"):
        for index in (0, 30):
            inputs, _ = split_targets({k: v.unsqueeze(0) for k, v in getattr(data, part)[index].items()})
            live = teacher(**inputs).prediction_outputs[0]
            assert torch.allclose(table.windows(data, part)[index][COLUMN], live, atol=1e-4)
    scored = evaluate_model(table, data, table.prepare(data).test)
    assert scored["mse"] == pytest.approx(evaluate_model(teacher, data, data.test)["mse"], rel=1e-4)
    with pytest.raises(InputError, match=r"it\.parquet' exists: name another"):
        write_forecasts(teacher, data, path)
    with pytest.raises(InputError, match="cannot forecast other windows"):
        table(data.train[0]["past_values"].unsqueeze(0))
    only = write_forecasts(teacher, data, tmp_path / "train.parquet", parts=["train"])
    assert len(pd.read_parquet(only)) == len(data.train) * CHANNELS


def test_data_without_time_and_with_one_channel(tmp_path):
    series = Series(torch.randn(200, 1), ("only",), season=24)
    data = make_windows(series, CONTEXT, HORIZON, SplitSpec(rows=(140, 30, 30)))
    teacher = CallableTeacher(
        lambda values: values[:, -HORIZON:], context_length=CONTEXT, prediction_length=HORIZON, name="n", version="1"
    )
    path = write_forecasts(teacher, data, tmp_path / "n.parquet")
    without_ids = pd.read_parquet(path).drop(columns="series")
    windows = signal_from_table(without_ids, data)
    assert torch.allclose(windows[7][COLUMN], data.train[7]["past_values"][-HORIZON:], atol=1e-5)
    with pytest.raises(InputError, match="the data have no time column: give row numbers"):
        signal_from_table(without_ids.assign(origin=pd.Timestamp("2020-01-01")), data)


REFUSED = {
    "no forecast": (lambda f: f.rename(columns={"forecast": "forecasts"}), r"no 'forecast'; did you mean 'forecasts'"),
    "no series": (lambda f: f.drop(columns="series"), "neither 'series' nor 'id'"),
    "two ids": (lambda f: f.assign(id=f["series"]), "both 'series' and 'id'"),
    "unknown series": (lambda f: f.replace({"series": {"load_1": "load_9"}}), r"no series 'load_9'; did you mean"),
    "unknown origin": (lambda f: f.assign(origin=f["origin"] + pd.Timedelta("30min")), r"origin .*:30:00 is not in"),
    "unknown row": (lambda f: f.assign(origin=400), "origin 400 is not in the data, which have rows 0 to 399"),
    "no times": (lambda f: f.assign(origin="soon"), "are no timestamps"),
    "short": (lambda f: f.assign(forecast=[x[:9] for x in f["forecast"]]), "has 9 steps, the task 16: pass"),
    "a number": (lambda f: f.assign(forecast=1.0), "expected a list a row, or a column 'step'"),
    "nan": (lambda f: f.assign(forecast=[np.append(x[:-1], np.nan) for x in f["forecast"]]), "holds NaN or"),
    "twice": (lambda f: pd.concat([f, f.iloc[:1]]), "2 times: leave one"),
    "an empty cell": (lambda f: f.assign(series=f["series"].where(f.index > 3)), "column 'series' has empty cells"),
    "a step too few": (lambda f: tidy(f).iloc[:-1], "has 15 rows for the steps 1 to 16: expected each step once"),
    "a step for another": (lambda f: tidy(f).replace({"step": {2: 3}}), "has 16 rows for the steps 1 to 16"),
    "step 0": (lambda f: tidy(f).assign(step=0), "column 'step' holds 0: expected whole numbers from 1"),
    "no train window": (lambda f: f[f["series"] == "load_0"], "for none of the 177 train windows, whose first"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_does_not_fit_is_said(case, frame, data):
    spoil, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        signal_from_table(spoil(frame), data)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(data, tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        signal_from_table(tmp_path / "no.parquet", data)
    (tmp_path / "no.parquet").write_text("series,origin,forecast")
    with pytest.raises(InputError, match="cannot be read as a table: Parquet magic bytes"):
        signal_from_table(tmp_path / "no.parquet", data)
    with pytest.raises(InputError, match="'list' is no kind of table"):
        signal_from_table([1, 2], data)


def test_a_damaged_file_is_a_table_or_one_line(tmp_path):
    """Bits flipped, bytes lost, put in and set to zero, in all parts of small files."""
    generator = random.Random(0)
    stamps = np.datetime64("2020-01-01") + np.arange(40) * np.timedelta64(1, "h")
    series = Series(torch.randn(40, 2), ("a", "b"), stamps)
    rows = pd.DataFrame({"series": ["a", "b"] * 6, "origin": np.repeat(stamps[:6], 2)})
    rows["forecast"] = [np.arange(4.0)] * len(rows)
    named = rows.assign(origin=rows["origin"].astype(str))
    steps = rows.explode("forecast").assign(step=[1, 2, 3, 4] * 12).astype({"forecast": float})
    files = []
    for table, codec in ((rows, None), (rows, "snappy"), (named, None), (steps, None)):
        table.to_parquet(tmp_path / "whole.parquet", index=False, compression=codec)
        files.append((tmp_path / "whole.parquet").read_bytes())
    refused = 0
    for number in range(240):
        content = bytearray(files[number % 4])
        at = generator.randrange(len(content))
        if number % 5 < 2:
            content[at] ^= 1 << generator.randrange(8)
        elif number % 5 == 2:
            content[at] = generator.randrange(256)
        else:
            content[at : at + generator.randrange(9)] = bytes(generator.randrange(9))
        (tmp_path / "f.parquet").write_bytes(content)
        table = said = None
        try:
            table = list(ForecastTable(tmp_path / "f.parquet", series, 4).rows())
        except InputError as error:
            said = str(error)
        assert table is not None or ("\n" not in said and len(said) < 500)
        refused += said is not None
    assert 100 < refused < 240


@pytest.fixture
def sparse(frame, data):
    """Every third train window has a forecast, and one has that of a single channel."""
    rows = np.searchsorted(data.series.timestamps, frame["origin"].to_numpy()) - data.train.first_origin
    return frame[(rows % 3 == 0) | ((rows == 1) & (frame["series"] == "load_0"))]


def test_windows_without_a_forecast_are_learnt_from_the_truth_alone(sparse, data, student_config, tmp_path, caplog):
    caplog.set_level("INFO", logger="timedistill_hf")
    windows = signal_from_table(sparse, data)
    assert "train 59 of 177 (1 more have one of some channels only)" in caplog.text
    assert [bool(windows[index]["teacher_known"]) for index in range(5)] == [True, False, False, True, False]

    args = TimeDistillTrainingArguments(str(tmp_path), max_steps=3, beta=0.0, report_to="none", disable_tqdm=True)
    trainer = TimeDistillTrainer(
        TimeDistillForPrediction(student_config), args, **(data.for_trainer() | {"train_dataset": windows})
    )
    batch = torch.utils.data.default_collate([windows[index] for index in range(6)])
    found = trainer.compute_loss(trainer.model.train(), dict(batch))
    prediction = trainer.model(past_values=batch["past_values"]).prediction_outputs
    known = [
        TimeDistillObjective(alpha=1.0, beta=0.0)(
            prediction[i : i + 1], batch["future_values"][i : i + 1], batch[COLUMN][i : i + 1]
        )
        for i in (0, 3)
    ]
    teacher_terms = sum(terms["prediction_scale"] + terms["prediction_period"] for terms in known) / 6
    supervised = (prediction - batch["future_values"]).square().mean()
    assert found.item() == pytest.approx((supervised + teacher_terms).item(), rel=1e-5)
    trainer.train()

    none_known = torch.utils.data.default_collate([windows[index] for index in (1, 2)])
    loss = trainer.compute_loss(trainer.model.train(), none_known)
    loss.backward()
    truth = trainer.model(past_values=none_known["past_values"]).prediction_outputs - none_known["future_values"]
    assert loss.item() == pytest.approx(truth.square().mean().item(), rel=1e-5)


def test_only_known_windows_are_compared_with_the_naive_forecast(sparse, data):
    windows = signal_from_table(sparse, data)
    known = range(0, 177, 3)
    by_hand = np.mean([(windows[i][COLUMN] - windows[i]["future_values"]).square().mean().item() for i in known])
    assert teacher_against_naive(None, windows, 24)[0] == pytest.approx(by_hand, rel=1e-5)


def test_no_closed_form_without_all_forecasts(sparse, data, student_config, tmp_path):
    args = TimeDistillTrainingArguments(str(tmp_path), max_steps=1, report_to="none", disable_tqdm=True, beta=0.0)
    config = type(student_config)(**data.shape, architecture="linear")
    trainer = TimeDistillTrainer(
        TimeDistillForPrediction(config),
        args,
        **(data.for_trainer() | {"train_dataset": signal_from_table(sparse, data)}),
    )
    before = trainer.model.backbone.projection.weight.clone()
    assert not ClosedForm(data)(trainer)
    assert torch.equal(trainer.model.backbone.projection.weight, before)


def test_windows_go_to_worker_processes(frame, data):
    windows = signal_from_table(frame, data)
    loader = torch.utils.data.DataLoader(windows, batch_size=8, num_workers=1)
    assert torch.equal(next(iter(loader))[COLUMN][3], windows[3][COLUMN])


def test_another_table_is_another_teacher(frame, data):
    first = TableTeacher(frame, data).fingerprint()
    assert TableTeacher(frame, data).fingerprint() == first
    assert TableTeacher(frame.iloc[3:], data).fingerprint() != first


def test_series_of_generated_data_are_named_as_here():
    assert synthetic_series(10, 2).columns == ("load_0", "load_1")


def test_a_file_is_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("timedistill_hf.signal_store.reading._BATCH_VALUES", 200 * 96)
    series = Series(torch.randn(3000, 4), ("a", "b", "c", "d"))
    rows = pd.DataFrame({"series": np.tile(["a", "b", "c", "d"], 2000), "origin": np.repeat(np.arange(2000), 4)})
    rows["forecast"] = list(np.random.default_rng(0).normal(size=(8000, 96)))
    rows.to_parquet(tmp_path / "f.parquet", row_group_size=200)
    size = (tmp_path / "f.parquet").stat().st_size
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() - before for _ in ForecastTable(tmp_path / "f.parquet", series, 96).rows())
    assert size > 5e6
    assert most < size / 2


def test_train_windows_are_laid_out_in_half_precision_and_nothing_else(frame, data, tmp_path):
    table = TableTeacher(frame, data, directory=tmp_path, dtype=torch.float16)
    exact = TableTeacher(frame, data)
    half, whole = table.windows(data)[9][COLUMN], exact.windows(data)[9][COLUMN]
    assert half.dtype == torch.float16
    assert torch.equal(half, whole.half())
    assert table.windows(data, "test")[9][COLUMN].dtype == torch.float32
    sizes = {part: (tmp_path / f"{part}-forecasts.npy").stat().st_size for part in ("train", "test")}
    assert sizes["train"] - 128 == 2 * len(data.train) * HORIZON * CHANNELS
    assert sizes["test"] - 128 == 4 * len(data.test) * HORIZON * CHANNELS
    far = frame.assign(forecast=[forecast * 1e6 for forecast in frame["forecast"]])
    signal_from_table(far, data)
    with pytest.raises(InputError, match=r"deviations .* float16 ends at 65,504: .*signal_dtype=float32"):
        signal_from_table(far, data, dtype=torch.float16)
