"""The rolling backtest against plain loops: what predict_df gives of a table that ends at the cutoff."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CONTEXT, HORIZON, tiny_informer, tiny_teacher
from tests.forecast.tables import NAMES, ROWS, close, long, save, trained_on, wide
from tests.forecast.test_predict_df import KNOWN, L, S, forecaster, noise, one, series
from tests.rounding import frames_close
from tests.scripts_helper import fails, run
from timedistill_hf import Forecaster, backtest
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_series, make_windows, synthetic_series
from timedistill_hf.forecasting import rolling
from timedistill_hf.student import serving_timedistill


SEASON = 7


def table():
    """Three series of different lengths and ends, with holes."""
    frame = pd.concat(
        [series("b", 5 * noise(90)), series("new", 100 + noise(64, 1), "2024-02-01"), series("short", noise(30, 2))],
        ignore_index=True,
    )
    frame.loc[[50, 70, 75, 130], "y"] = np.nan
    return frame.drop(index=[40, 100])


def by_loops(model, frame, num_windows, step):
    """Cutoff by cutoff, id by id."""
    rows = []
    for identifier in dict.fromkeys(frame["item"]):
        own = frame[frame["item"] == identifier].set_index("ds")["y"].asfreq("h")
        for window in reversed(range(num_windows)):
            end = len(own) - S - window * step
            if end < SEASON:
                continue
            past, future = own.iloc[:end], own.iloc[end : end + S]
            recent = past.iloc[-L:].interpolate(limit_direction="both").to_numpy()
            recent = np.concatenate([np.full(max(0, L - len(recent)), recent[0]), recent])
            frame_then = past.rename_axis("ds").rename("y").reset_index().assign(item=identifier)
            forecast = model.predict_df(frame_then)
            for k in range(S):
                rows.append(
                    {
                        "item": identifier,
                        "cutoff": past.index[-1],
                        "ds": future.index[k],
                        "y": future.iloc[k],
                        "forecast": forecast["y"].iloc[k],
                        "seasonal_naive": recent[L - SEASON + k % SEASON],
                    }
                )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("cells", [60, 700, 2**22])
@pytest.mark.parametrize(("num_windows", "step"), [(4, 5), (2, None), (1, 3)])
def test_forecasts_are_those_of_tables_that_end_at_the_cutoffs(monkeypatch, cells, num_windows, step):
    model = forecaster()
    for module in (rolling, serving_timedistill):
        monkeypatch.setattr(module, "MAX_CELLS", cells)
    found = backtest(
        model, table().sample(frac=1, random_state=0).sort_values("item"), num_windows=num_windows, step=step
    )
    expected = by_loops(model, table(), num_windows, step or S)
    frames_close(found.forecasts, expected, check_dtype=False, rtol=1e-4, atol=1e-4)
    assert found.windows * S == len(expected)
    assert (found.season, found.step) == (SEASON, step or S)


def test_metrics_are_the_textbooks(monkeypatch):
    model = forecaster()
    result = backtest(model, table(), num_windows=3, step=6)
    frame = table()
    expected = {}
    for name, part in result.forecasts.groupby("item", sort=False):
        history = frame[frame["item"] == name].set_index("ds")["y"].asfreq("h")
        before = history[: part["cutoff"].min()]
        scale = (before - before.shift(SEASON)).abs().mean()
        for column in ("forecast", "seasonal_naive"):
            known = part.dropna(subset="y")
            y, f = known["y"], known[column]
            if name == "b":
                deviation = np.full(len(known), KNOWN["b"][1])
            else:
                deviation = known["cutoff"].map(lambda cutoff: history[:cutoff].iloc[-L:].std(ddof=0))  # noqa: B023
            e = (y - f).to_numpy()
            expected[name, column] = {
                "mse": (e**2).mean(),
                "mae": np.abs(e).mean(),
                "rmse": (e**2).mean() ** 0.5,
                "smape": (200 * np.abs(e) / (y.abs() + f.abs())).mean(),
                "mase": np.abs(e).mean() / scale,
                "standardized_mse": ((e / deviation) ** 2).mean(),
                "standardized_mae": np.abs(e / deviation).mean(),
                "points": len(known),
            }
    assert result.metrics["item"].tolist() == [name for name, _ in expected]
    assert result.metrics["model"].tolist() == [column for _, column in expected]
    for row, values in zip(result.metrics.to_dict(orient="records"), expected.values(), strict=True):
        for metric, value in values.items():
            assert row[metric] == pytest.approx(value, rel=1e-6), metric
    for column, overall in result.overall.items():
        of = [values for (_, model), values in expected.items() if model == column]
        for metric in ("mse", "mae", "rmse", "smape", "mase"):
            assert overall[metric] == pytest.approx(np.mean([values[metric] for values in of]))
        for metric in ("standardized_mse", "standardized_mae"):
            weights = [values["points"] for values in of]
            assert overall[metric] == pytest.approx(np.average([values[metric] for values in of], weights=weights))


def test_all_windows_with_a_full_look_back_without_a_number(caplog):
    result = backtest(forecaster(), table())
    counts = result.forecasts.groupby("item", sort=False)["cutoff"].nunique()
    assert counts.to_dict() == {"b": (90 - L) // S, "new": (64 - L) // S}
    assert "1 of 3 series have fewer than the 39 steps of one window and are left out" in caplog.text
    with pytest.raises(InputError, match="longest series has 30 steps, one window needs 39"):
        backtest(forecaster(), series("x", noise(30)))


def test_the_clock_is_that_of_the_table():
    frame = series("x", noise(200), "2024-03-28")
    frame["ds"] = frame["ds"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    result = backtest(forecaster(), frame, num_windows=5)
    assert result.forecasts["ds"].dtype == result.forecasts["cutoff"].dtype == frame["ds"].dtype
    assert result.forecasts["ds"].tolist() == frame["ds"].iloc[-5 * S :].tolist()
    assert result.forecasts["y"].tolist() == frame["y"].iloc[-5 * S :].tolist()
    days = series("x", noise(200), "2024-01-01", "D")
    days["ds"] = days["ds"].dt.tz_localize("America/New_York")
    assert backtest(forecaster("D"), days).forecasts["ds"].isin(days["ds"]).all()


def test_a_wide_table_of_two_value_columns_an_id_and_one_without_time():
    model = forecaster(id_column=None, target_columns=None)
    frame = pd.DataFrame({"b": noise(80), "new": noise(80, 1)})
    result = backtest(model, frame, num_windows=2)
    assert list(result.forecasts) == ["id", "cutoff", "step", "y", "forecast", "seasonal_naive"]
    last = result.forecasts[result.forecasts["id"] == "new"].tail(S)
    assert last["step"].tolist() == list(range(70, 80))
    assert last["cutoff"].unique().tolist() == [69]
    close(last["forecast"], one(model.model, frame["new"][:70]))
    two = series("x", noise(80)).assign(z=noise(80, 1))
    result = backtest(forecaster(), two, num_windows=2, target_columns=["y", "z"])
    assert list(result.forecasts)[:3] == ["item", "target", "cutoff"]
    assert result.metrics["target"].tolist() == ["y", "y", "z", "z"]
    close(result.forecasts["forecast"].tail(S), one(model.model, two["z"][:70]))
    with pytest.raises(InputError, match="column 'cutoff' is named as one of the backtest's own"):
        backtest(forecaster(), two.rename(columns={"item": "cutoff"}), id_column="cutoff")


@pytest.mark.parametrize("form", ["wide", "long"])
@pytest.mark.parametrize("kind", ["student", "itransformer", "informer"])
def test_models_that_see_all_channels_are_those_of_predict(monkeypatch, kind, form):
    """Their cutoffs are common ones, also where an id ends early."""
    monkeypatch.setattr(rolling, "MAX_CELLS", 300)
    frame = wide() if form == "wide" else long(wide(), ("x", "a", "m")).drop(index=range(ROWS - 4, ROWS))
    options = {} if form == "wide" else {"id_column": "store"}
    model = trained_on(frame, **options)
    if kind == "itransformer":
        model.model = tiny_teacher(kind)
    elif kind == "informer":
        data = make_windows(load_series(frame, **options), CONTEXT, HORIZON).with_time_features()
        model = Forecaster(tiny_informer(num_time_features=data.num_time_features).eval(), data.processor)
    shown = frame if form == "wide" else frame[::-1]
    result = backtest(model, shown, num_windows=3, step=7)
    cutoffs = result.forecasts["cutoff"].drop_duplicates().tolist()
    assert cutoffs == [wide()["date"].iloc[-1 - HORIZON - 7 * k] for k in (2, 1, 0)]
    names = NAMES if form == "wide" else ["m", "a", "x"]
    for cutoff in cutoffs:
        then = model.predict(frame[frame["date"] <= cutoff])
        found = result.forecasts[result.forecasts["cutoff"] == cutoff]
        for name in names:
            own = found[found["id" if form == "wide" else "store"] == name]
            expected = then[name] if form == "wide" else then.loc[then["store"] == name, "sales"]
            close(own["forecast"], expected)
            assert own["date"].tolist() == pd.date_range(cutoff, periods=HORIZON + 1, freq="h")[1:].tolist()
    truth = result.forecasts.dropna(subset="y")
    assert len(result.forecasts) - len(truth) == (0 if form == "wide" else 4)
    if form == "long":
        with pytest.raises(InputError, match="forecasts the series of its training together"):
            backtest(model, long(wide(), ("x", "a", "new")))


def test_a_series_is_a_table_too():
    for frame, options in ((wide(), {}), (long(wide(), ("x", "a", "m")), {"id_column": "store"})):
        model, loaded = trained_on(frame, **options), load_series(frame, **options)
        expected = backtest(model, frame, num_windows=2).forecasts
        found = backtest(model, loaded, num_windows=2).forecasts
        assert found["id"].tolist() == [str(name) for name in expected[expected.columns[0]]]
        frames_close(found.iloc[:, 1:], expected.iloc[:, 1:])
    loaded = replace(load_series(wide()), regularized=False)
    rows = backtest(trained_on(wide()), loaded, num_windows=1).forecasts
    assert rows["step"].tolist() == 3 * list(range(ROWS - HORIZON, ROWS))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_takes_what_memory_need_not_hold(monkeypatch, tmp_path, suffix):
    monkeypatch.setattr(rolling, "MAX_CELLS", 200)
    model = forecaster()
    kept = backtest(model, table(), num_windows=4)
    target = tmp_path / f"forecasts{suffix}"
    written = backtest(model, table(), num_windows=4, output=target)
    assert written.forecasts is None
    frames_close(written.metrics, kept.metrics)
    read = pd.read_csv(target, parse_dates=["cutoff", "ds"]) if suffix == ".csv" else pd.read_parquet(target)
    frames_close(read, kept.forecasts, check_dtype=False, rtol=1e-9)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_failure_leaves_the_old_file(monkeypatch, tmp_path):
    target = tmp_path / "forecasts.csv"
    target.write_text("mine")
    model = forecaster()
    model.inference_copy.register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        backtest(model, table(), output=target)
    assert target.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["forecasts.csv"]


def test_the_script_writes_forecasts_and_metrics_once(tmp_path, monkeypatch, capsys):
    saved = save(forecaster(), tmp_path / "model")
    table().to_csv(tmp_path / "my.csv", index=False)
    target = tmp_path / "tested.parquet"
    command = ("--model", saved, "--input", tmp_path / "my.csv", "--output", target, "--num_windows", 2)
    run(monkeypatch, "backtest.py", *command)
    printed = capsys.readouterr().out
    expected = backtest(forecaster(), table(), num_windows=2)
    assert "6 windows, 10 steps apart, season of 7 steps" in printed
    assert f"{expected.overall['forecast']['mase']:.4g}" in printed
    close(pd.read_parquet(target)["forecast"], expected.forecasts["forecast"])
    metrics = json.loads((tmp_path / "tested.json").read_text())
    assert metrics["overall"]["seasonal_naive"]["mae"] == pytest.approx(expected.overall["seasonal_naive"]["mae"])
    assert [row["item"] for row in metrics["series"]] == expected.metrics["item"].tolist()
    assert "exists: name another --output, or pass --overwrite" in fails(monkeypatch, capsys, "backtest.py", *command)
    target.unlink()
    assert "tested.json' exists" in fails(monkeypatch, capsys, "backtest.py", *command)
    run(monkeypatch, "backtest.py", *command, "--overwrite", "--scaling", "history")
    assert "--num_windows 0: expected a positive number" in fails(
        monkeypatch, capsys, "backtest.py", *command[:-1], 0, "--overwrite"
    )


def test_the_forecast_script_takes_unknown_ids(tmp_path, monkeypatch, capsys):
    saved = save(forecaster(), tmp_path / "model")
    table().rename(columns={"item": "shop"}).to_csv(tmp_path / "my.csv", index=False)
    target = tmp_path / "out.csv"
    command = ("--model", saved, "--input", tmp_path / "my.csv", "--output", target)
    run(monkeypatch, "forecast.py", *command, "--id_column", "shop")
    assert f"3 series, 10 steps from each series' end: {target}" in capsys.readouterr().out
    expected = forecaster().predict_df(table())
    close(pd.read_csv(target)["y"], expected["y"])


def test_a_series_that_was_made_by_hand(caplog):
    """It has timestamps and no clock."""
    made = synthetic_series(200, 1)
    assert made.clock is None
    assert made.timestamps is not None
    frame = pd.DataFrame({"time": made.timestamps, made.columns[0]: made.values[:, 0].numpy()})
    model = forecaster()
    expected = backtest(model, frame, num_windows=3)
    found = backtest(model, made, num_windows=3)
    close(found.forecasts["forecast"], expected.forecasts["forecast"])
