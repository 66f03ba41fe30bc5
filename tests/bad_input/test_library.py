"""L: what the library's calls refuse, with the error that scripts print."""

import datasets
import numpy as np
import pandas as pd
import pytest
import torch

from tests.bad_input.tables import BASE
from tests.conftest import CHANNELS, CONTEXT, HORIZON
from timedistill_hf import Forecaster, TimeDistillProcessor, load_series, load_teacher, make_windows
from timedistill_hf._utils.errors import InputError
from timedistill_hf.training.arguments import TimeDistillTrainingArguments


SERIES = [
    ("a number", 3, "'int' is no kind of series: give a name, a file"),
    ("an array", np.ones((9, 2)), "'ndarray' is no kind of series: give .* a DataFrame"),
    ("splits", datasets.DatasetDict(train=datasets.Dataset.from_pandas(BASE)), r"\['train'\]: give one of them"),
    ("no rows", pd.DataFrame(), "no rows: expected one a time step"),
    ("names of two levels", BASE.set_axis(pd.MultiIndex.from_product([["a"], BASE.columns]), axis=1), "2 levels"),
    ("one name twice", pd.concat([BASE, BASE[["load_0"]]], axis=1), "two columns called 'load_0': give each its own"),
    ("complex numbers", BASE.assign(load_0=1j), "'load_0' .* holds 1j, no number: name the value columns"),
    ("kinds", BASE.assign(load_0=pd.Categorical([1, 2] * 200)), "'load_0' .* holds 1, no number"),
    ("durations", BASE.assign(load_0=pd.Timedelta(hours=1)), "'load_0' .* holds Timedelta.*, no number"),
    ("dates as values", BASE.assign(load_0=BASE["date"]), "'load_0' .* holds Timestamp.*, no number"),
    ("truth among numbers", BASE.assign(load_0=[True, *BASE["load_0"][1:]]), "has True in column 'load_0', no number"),
]


@pytest.mark.parametrize(
    ("source", "message"),
    [pytest.param(*case, id=f"L{n:02}-{what.replace(' ', '-')}") for n, (what, *case) in enumerate(SERIES, 1)],
)
def test_sources_of_series(source, message):
    with pytest.raises(InputError, match=message):
        load_series(source)


@pytest.fixture
def processor(data):
    return data.processor


def test_windows_and_processors(data, processor):
    """L20 to L26."""
    with pytest.raises(InputError, match="context_length=0: expected a positive number"):
        make_windows(data.series, 0, HORIZON)
    with pytest.raises(InputError, match="prediction_length=-1: expected a positive number"):
        make_windows(data.series, CONTEXT, -1)
    with pytest.raises(InputError, match=r"history of shape \(48, 2\): expected \[T, 3\]"):
        processor(np.ones((CONTEXT, 2)))
    with pytest.raises(InputError, match=r"history of shape \(48,\)"):
        processor(torch.ones(CONTEXT))
    with pytest.raises(InputError, match=r"holds no numbers \(values of the type <U1\): give NaN"):
        processor(np.full((CONTEXT, CHANNELS), "a"))
    with pytest.raises(InputError, match="infinite value: replace it"):
        processor(np.full((CONTEXT, CHANNELS), np.inf))
    with pytest.raises(InputError, match="1 columns, 2 means and 1 deviations: expected the same"):
        TimeDistillProcessor(["a"], [0, 0], [1], 8, 4)


def test_histories(data, student):
    """L27 to L29."""
    forecaster = Forecaster(student, data.processor)
    for history in ("my.csv", None, 3.0):
        with pytest.raises(InputError, match="no kind of history: give a DataFrame or an array"):
            forecaster.predict(history)
    with pytest.raises(InputError, match="history: input 0 has 1 channels, the model is bound to the 3 of its train"):
        forecaster.predict([[1.0] * CHANNELS] * CONTEXT)
    integers = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2)))
    with pytest.raises(InputError, match="2 of 2 series are not of the model's training"):
        forecaster.predict(integers)


def test_saved_models(saved, work):
    """L30 to L35: `from_pretrained` says the same as the scripts."""
    for name in ("student", "itransformer"):
        weights = work / name / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(InputError, match=r"cannot be loaded as .* expected the safetensors file"):
            Forecaster.from_pretrained(work / name)
    with pytest.raises(InputError, match="cannot be loaded as ITransformerForPrediction"):
        load_teacher(work / "itransformer")
    (work / "patchtst/preprocessor_config.json").write_text("{")
    with pytest.raises(InputError, match=r"is no processor of this package .* save the one"):
        Forecaster.from_pretrained(work / "patchtst")
    with pytest.raises(InputError, match=r"holds no config\.json"):
        Forecaster.from_pretrained(work)
    with pytest.raises(OSError, match=r"preprocessor_config\.json"):
        TimeDistillProcessor.from_pretrained(work)


def test_training_arguments(tmp_path):
    """L40, L41."""
    with pytest.raises(InputError, match="num_train_epochs=0: expected a number above 0"):
        TimeDistillTrainingArguments(str(tmp_path), num_train_epochs=0)
    with pytest.raises(InputError, match="data_seed=-1: expected a whole number from 0"):
        TimeDistillTrainingArguments(str(tmp_path), data_seed=-1)
