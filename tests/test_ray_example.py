"""examples/ray_forecast.py on two workers here; what it writes is what `predict_df` gives of the whole table."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fleet.tables import fleet, forecaster
from tests.forecast.tables import save


ray = pytest.importorskip("ray", reason="ray is not installed: pip install '.[ray]'")

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "ray_forecast.py"


@pytest.fixture(autouse=True)
def _ends():
    yield
    ray.shutdown()


def test_it_is_the_table_of_predict_df(tmp_path, monkeypatch, capsys):
    model, frame = forecaster(), fleet([40 + number for number in range(12)], zone="Europe/Berlin")
    save(model, tmp_path / "model")
    (tmp_path / "in").mkdir()
    for number, ids in enumerate(np.array_split(frame["item"].drop_duplicates(), 3)):
        frame[frame["item"].isin(ids)].to_parquet(tmp_path / "in" / f"{number}.parquet", index=False)
    flags = ("--model", tmp_path / "model", "--input", tmp_path / "in", "--output", tmp_path / "out")
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, flags), "--id_column", "item"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert "12 series in " in capsys.readouterr().out
    found = pd.concat([pd.read_parquet(path) for path in sorted((tmp_path / "out").iterdir())], ignore_index=True)
    pd.testing.assert_frame_equal(found, model.predict_df(frame), rtol=1e-5, atol=1e-4)
