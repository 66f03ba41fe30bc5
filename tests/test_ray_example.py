"""examples/ray_forecast.py on two workers here; what it writes is what `predict_df` gives of the whole table."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fleet.tables import fleet, forecaster
from tests.forecast.tables import save


ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'timedistill_hf[ray]'")

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "ray_forecast.py"


@pytest.fixture(autouse=True)
def _ends():
    yield
    ray.shutdown()


def forecasts(monkeypatch, tmp_path, *flags) -> pd.DataFrame:
    flags = ("--model", tmp_path / "model", "--input", tmp_path / "in", "--output", tmp_path / "out", *flags)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, flags), "--id_column", "item"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    paths = sorted((tmp_path / "out").glob("*.parquet"))
    return pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)


@pytest.mark.parametrize("is_spread", [False, True])
def test_it_is_the_table_of_predict_df(tmp_path, monkeypatch, capsys, is_spread):
    model, frame = forecaster(), fleet([40 + number for number in range(12)], zone="Europe/Berlin")
    save(model, tmp_path / "model")
    (tmp_path / "in").mkdir()
    if is_spread:
        parts = np.array_split(np.arange(len(frame)), 3)
    else:
        groups = np.array_split(frame["item"].drop_duplicates(), 3)
        parts = [np.flatnonzero(frame["item"].isin(group)) for group in groups]
    for number, rows in enumerate(parts):
        frame.iloc[rows].to_parquet(tmp_path / "in" / f"{number}.parquet", index=False)
    expected = model.predict_df(frame)
    found = forecasts(monkeypatch, tmp_path, *(["--shuffle"] if is_spread else []))
    if is_spread:
        found, expected = (each.sort_values(["item", "ds"], ignore_index=True) for each in (found, expected))
        found = found[list(expected.columns)]
    else:
        assert "12 series in " in capsys.readouterr().out
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, atol=1e-4)
