"""What people hand to a pipeline: one series of any kind, many of them, data sets; each as plain numbers would be."""

import array
from collections import deque
from decimal import Decimal
from fractions import Fraction

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

from tests.forecast.test_predict_df import L, S, forecaster, noise, one, series
from tests.rounding import frames_close


TASK = "time-series-forecasting"
COUNT = np.arange(40) % 7


@pytest.fixture(scope="module")
def pipe():
    model = forecaster()
    return pipeline(TASK, model=model.model, feature_extractor=model.processor)


def close(answer, expected):
    np.testing.assert_allclose(answer["prediction_outputs"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: list(x.astype("int64")),
        lambda x: list(x.astype("uint8")),
        lambda x: list(x.astype("float32")),
        lambda x: list(x.astype("float16")),
        lambda x: list(torch.tensor(x)),
        lambda x: [np.array(value) for value in x],
        lambda x: [Decimal(int(value)) for value in x],
        lambda x: [Fraction(int(value)) for value in x],
        lambda x: tuple(map(int, x)),
        lambda x: deque(map(float, x)),
        lambda x: array.array("d", x),
        lambda x: torch.tensor(x, dtype=torch.bfloat16, requires_grad=False),
        lambda x: torch.tensor(x, dtype=torch.float32, requires_grad=True),
        lambda x: x.astype("uint16"),
        lambda x: x.astype(object),
        lambda x: x[::-1][::-1],
        lambda x: np.ma.array(x, mask=np.zeros(40, bool)),
        lambda x: pd.Series(x),
        lambda x: pd.Series(x, dtype="Int64"),
        lambda x: pd.Series(x, index=pd.date_range("2024", periods=40)),
        lambda x: pd.Series(pa.array(x), dtype=pd.ArrowDtype(pa.int64())),
        lambda x: pd.array(x, dtype="Float64"),
        lambda x: pd.Index(x),
        lambda x: pa.array(x),
        lambda x: pa.chunked_array([x[:9], x[9:]]),
        lambda x: datasets.Dataset.from_dict({"y": x})["y"],
        lambda x: {"past_values": list(x)},
    ],
)
def test_one_series(pipe, convert):
    close(pipe(convert(COUNT)), one(pipe.model, COUNT))


def test_a_range_is_its_list(pipe):
    close(pipe(range(30)), one(pipe.model, np.arange(30.0)))
    close(pipe([True, False] * 15), one(pipe.model, np.arange(1.0, 31) % 2))


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: [None if np.isnan(value) else value for value in x],
        lambda x: [pd.NA if np.isnan(value) else np.float32(value) for value in x],
        lambda x: np.array([None if np.isnan(value) else value for value in x], dtype=object),
        lambda x: np.ma.masked_invalid(x),
        lambda x: np.ma.array(np.nan_to_num(x, nan=999), mask=np.isnan(x)),
        lambda x: np.ma.array(np.nan_to_num(x, nan=999).astype("int64"), mask=np.isnan(x)),
        lambda x: pd.Series(x, dtype="Float64"),
        lambda x: pd.Series(x).astype("Int64"),
        lambda x: pd.Series(pa.array(x, from_pandas=True), dtype=pd.ArrowDtype(pa.float64())),
        lambda x: pa.array(x.astype(object), pa.int64(), from_pandas=True),
        lambda x: pa.chunked_array([pa.array(x, from_pandas=True)]),
        lambda x: {"past_values": np.nan_to_num(x), "past_observed_mask": list(map(int, ~np.isnan(x)))},
        lambda x: {"past_values": np.nan_to_num(x), "past_observed_mask": pd.Series(~np.isnan(x))},
    ],
)
def test_missing_values(pipe, convert):
    history = np.where(COUNT % 3 == 1, np.nan, COUNT)
    close(pipe(convert(history)), one(pipe.model, history))


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: {"past_values": x.tolist()},
        lambda x: {"past_values": tuple(map(tuple, x))},
        lambda x: {"past_values": list(x)},
        lambda x: {"past_values": list(torch.tensor(x))},
        lambda x: {"past_values": [[None if value == 3 else value for value in row] for row in x.tolist()]},
        lambda x: x.astype("float32"),
        lambda x: np.asfortranarray(x),
        lambda x: torch.tensor(x),
    ],
)
def test_several_channels(pipe, convert):
    both = np.stack([COUNT + 0.5, COUNT**2 + 0.5], axis=1)
    given = convert(both)
    history = np.where(both == 3, np.nan, both)
    expected = np.stack([one(pipe.model, channel) for channel in history.T], axis=1)
    close(pipe(given, scaling="history"), expected)


MANY = [noise(40), noise(20, 1), noise(33, 2)]


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        deque,
        lambda x: [list(values.astype("float32")) for values in x],
        lambda x: [x[0], pd.Series(x[1]), pa.array(x[2])],
        lambda x: [{"past_values": values} for values in x],
        lambda x: datasets.Dataset.from_dict({"past_values": x})["past_values"],
    ],
)
def test_a_sequence_is_answered_by_a_list(pipe, convert):
    answers = pipe(convert(MANY))
    assert isinstance(answers, list)
    for answer, history in zip(answers, MANY, strict=True):
        close(answer, one(pipe.model, history))


def rows():
    for number, values in enumerate(MANY):
        yield {"past_values": values, "id": f"n{number}"}


class Mapped(torch.utils.data.Dataset):
    def __len__(self):
        return len(MANY)

    def __getitem__(self, index):
        return MANY[index]


class Streamed(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(MANY)


@pytest.mark.parametrize(
    "convert",
    [
        lambda: iter(MANY),
        lambda: (values for values in MANY),
        lambda: map(list, MANY),
        rows,
        Mapped,
        Streamed,
        lambda: datasets.Dataset.from_list(list(rows())),
        lambda: datasets.Dataset.from_list(list(rows())).with_format("numpy"),
        lambda: datasets.Dataset.from_list(list(rows())).with_format("torch"),
        lambda: datasets.Dataset.from_list(list(rows())).to_iterable_dataset(),
        lambda: datasets.IterableDataset.from_generator(rows),
        lambda: KeyDataset(datasets.Dataset.from_list(list(rows())), "past_values"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"batch_size": 2}, {"num_workers": 0}, {"num_workers": 2, "batch_size": 1}])
def test_a_data_set_gives_one_answer_a_row(pipe, convert, options):
    answers = pipe(convert(), **options)
    assert iter(answers) is answers
    for answer, history in zip(answers, MANY, strict=True):
        close(answer, one(pipe.model, history))


def test_a_data_set_of_several_channels_with_gaps(pipe):
    both = [[[1.5 * step, None if step % 5 == 0 else 9.0 - step] for step in range(30)]] * 2
    rows = datasets.Dataset.from_dict({"past_values": both, "id": [7, 8]})
    answers = list(pipe(rows))
    history = np.array(both[0], dtype=float)
    assert [answer["id"] for answer in answers] == [7, 8]
    close(answers[1], np.stack([one(pipe.model, channel) for channel in history.T], axis=1))


def test_options_of_every_pipeline(pipe):
    model = forecaster()
    made = pipeline(TASK, model=model.model, feature_extractor=model.processor, batch_size=2, num_workers=3)
    for each, options in ((made, {}), (pipe, {"batch_size": 1, "num_workers": 2}), (pipe, {"num_workers": None})):
        close(each(MANY, **options)[1], one(pipe.model, MANY[1]))


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_size_that_is_none(pipe, size):
    with pytest.raises(ValueError, match=f"batch_size={size}: expected a positive number"):
        pipe(MANY, batch_size=size)


def test_an_arrow_table_is_a_frame(pipe):
    frame = pd.concat([series("b", noise(40)), series("new", noise(25, 1), "2024-03-01")], ignore_index=True)
    frames_close(pipe(pa.table(frame)), pipe(frame))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["1", "2"], "input 0 holds no numbers"),
        ("text", "input 0 holds no numbers"),
        ([1.0, "x"], "input 0 holds no numbers|input 1 holds no numbers|shape"),
        ({1.0, 2.0}, "input 0 holds no numbers"),
        (pd.Series(pd.date_range("2024", periods=5)), "input 0 holds no numbers .*datetime64"),
        (pa.array(["a", "b"]), "input 0 holds no numbers"),
        (np.arange(5) + 1j, "input 0 holds no numbers .*complex"),
        (torch.arange(5) + 1j, "input 0 holds no numbers .*complex"),
        ([noise(5), pd.DataFrame({"y": noise(5)})], "input 1 is a table: give it by itself, or all series in one"),
        ({"past_values": [[1.0, 2.0], [3.0]]}, "input 0 holds no numbers"),
        ({"past_values": noise(5), "past_observed_mask": [1, 0]}, "shape .5,., its mask .2,.: expected the same"),
        ([10**400, 1], "input 0 holds no numbers"),
        (5.0, "input 0 has the shape"),
        (datasets.DatasetDict({"train": datasets.Dataset.from_dict({"past_values": [[1.0]]})}), "the keys .'train'"),
        (iter([{"target": [1.0]}]), "the keys .'target'.: expected past_values"),
        (datasets.Dataset.from_dict({"target": [[1.0]]}), "the keys .'target'.: expected past_values"),
    ],
)
def test_what_is_none_of_these_is_said_in_one_line(pipe, given, message):
    with pytest.raises(ValueError, match=message) as caught:
        list(pipe(given))
    assert "\n" not in str(caught.value)


def test_an_empty_data_set_has_no_answers(pipe):
    for given in ([], (), iter([]), datasets.Dataset.from_dict({"past_values": []})):
        assert list(pipe(given)) == []


def test_shorter_than_the_look_back(pipe):
    close(pipe(range(2)), one(pipe.model, np.arange(2.0)))
    assert pipe(range(L + 1))["prediction_outputs"].shape == (S,)
