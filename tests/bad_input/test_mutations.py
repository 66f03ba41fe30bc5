"""Randomly spoilt files beside a model: a forecast of numbers, or an error on one line. The long run is slow."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

from tests.bad_input.mutations import mutations
from tests.bad_input.tables import BASE
from tests.conftest import CONTEXT, tiny_modern_tcn, tiny_time_mixer, tiny_timesnet
from timedistill_hf import Forecaster, TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf._utils.errors import InputError
from timedistill_hf.hub.publishing import files_to_publish
from timedistill_hf.teachers.loading import load_processor


MEMBERS = [
    {"architecture": "linear"},
    {"architecture": "residual", "core": "patch_mixer", "patch_length": 8, "hidden_size": 4},
]
QUICK, LONG = 120, 3000
HISTORY = BASE.tail(CONTEXT)


@pytest.fixture(scope="module")
def folders(saved):
    """The good models by name: two teachers, and students of two forms."""
    processor = load_processor(saved / "student")
    shape = {"context_length": CONTEXT, "prediction_length": processor.prediction_length, "num_input_channels": 3}
    models = {
        "combination": TimeDistillForPrediction(
            TimeDistillConfig(**shape, architecture="combination", members=MEMBERS, hidden_norm="layernorm")
        ),
        "modern_tcn": tiny_modern_tcn(),
        "timesnet": tiny_timesnet(),
        "time_mixer": tiny_time_mixer(),
    }
    for name, model in models.items():
        model.save_pretrained(saved / name)
        processor.save_pretrained(saved / name)
    return saved


def forecasts(folder) -> list:
    """Of an array and, where the model reads them, of tables."""
    files_to_publish(folder)
    forecaster = Forecaster.from_pretrained(folder)
    found = [forecaster.predict(HISTORY.iloc[:, 1:].to_numpy()), forecaster.predict(HISTORY)]
    config = forecaster.model.config
    if config.model_type == "timedistill" and not config.is_channel_bound:
        found.append(forecaster.predict_df(HISTORY))
    return found


def check(folder, name: str, seed: int, count: int) -> dict[str, int]:
    """Every spoilt copy of the file ends well; how many were read and how many refused."""
    path = folder / name
    good = path.read_text(encoding="utf-8")
    counts = {"read": 0, "refused": 0, "several lines": 0}
    try:
        for number, text in enumerate(mutations(json.loads(good), seed, count)):
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            try:
                for forecast in forecasts(folder):
                    values = forecast.select_dtypes("number") if isinstance(forecast, pd.DataFrame) else forecast
                    assert np.isfinite(values).all(axis=None), (seed, number, text[:3000])
                counts["read"] += 1
            except InputError as error:
                counts["refused" if len(str(error).splitlines()) == 1 else "several lines"] += 1
            except AssertionError:
                raise
            except Exception as error:
                raise AssertionError((seed, number, text[:3000])) from error
    finally:
        path.write_text(good, encoding="utf-8")
    assert counts.pop("several lines") == 0
    return counts


@pytest.fixture(autouse=True)
def _said_once():
    """What is refused is said by the exception alone: transformers would log a page beside it."""
    errors, handler = [], logging.Handler(logging.ERROR)
    handler.emit = errors.append
    logging.disable(logging.WARNING)
    logging.getLogger("transformers").addHandler(handler)
    yield
    logging.getLogger("transformers").removeHandler(handler)
    logging.disable(logging.NOTSET)
    assert [error.getMessage() for error in errors] == []


MODELS = ["student", "combination", "itransformer", "patchtst"]


@pytest.mark.parametrize(("model", "seed"), [(model, seed) for seed, model in enumerate(MODELS)])
def test_a_spoilt_configuration(model, seed, folders):
    counts = check(folders / model, "config.json", seed, QUICK)
    assert min(counts.values()) > 5


@pytest.mark.parametrize(("model", "seed"), [("combination", 10), ("itransformer", 11)])
def test_a_spoilt_processor(model, seed, folders):
    counts = check(folders / model, "preprocessor_config.json", seed, QUICK // 2)
    assert min(counts.values()) > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("model", [*MODELS, "modern_tcn", "timesnet", "time_mixer"])
def test_thousands(model, name, folders):
    print(f"\n{model} {name}: {check(folders / model, name, 100, LONG)}")
