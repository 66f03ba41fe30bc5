"""Numbers as people write them: right, or refused with the flag that says it; beside Python's own formatting."""

import numpy as np
import pandas as pd
import pytest

from tests.conftest import HORIZON
from tests.forecast.tables import save, trained_on, wide
from tests.scripts_helper import fails, run
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import load_data, load_series
from timedistill_hf.settings.run import DataSettings


HOURS = pd.date_range("2024-01-15", periods=120, freq="h")
INTEGERS = [987, 1234, 15678, 998, 1002, 123456] * 20
MILLIONS = [987, 1234, 1567890, 998, 1002, 123456] * 20
FRACTIONS = [987.5, -1234.25, 15678.0, 0.125, 1002.75, 123456.5] * 20
SIGNS = [(",", "."), (".", ",")]  # decimal, thousands


def written(values, decimal, thousands):
    swapped = {",": thousands, ".": decimal}
    return ["".join(swapped.get(sign, sign) for sign in f"{value:,}") for value in values]


def table(path, separator, *columns, dates="%Y-%m-%d %H:%M"):
    rows = zip(HOURS.strftime(dates), *columns)
    names = ["ds", *"abcd"[: len(columns)]]
    path.write_text("\n".join(separator.join(row) for row in [names, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("dates", ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M"])
@pytest.mark.parametrize(("decimal", "thousands"), SIGNS)
@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("values", [MILLIONS, FRACTIONS], ids=["a sign twice", "both signs"])
def test_what_can_be_read_in_one_way_is(values, separator, decimal, thousands, dates, tmp_path):
    path = table(tmp_path / "x.csv", separator, written(values, decimal, thousands), dates=dates)
    np.testing.assert_allclose(load_series(path).values[:, 0], values, rtol=1e-6)


@pytest.mark.parametrize(("decimal", "thousands"), SIGNS)
@pytest.mark.parametrize("separator", [";", "\t"])
def test_what_can_be_read_in_two_ways_is_refused_unless_said(separator, decimal, thousands, tmp_path):
    path = table(tmp_path / "x.csv", separator, written(INTEGERS, decimal, thousands))
    ambiguous = "two ways: give decimal='.{1}' or thousands='.{1}'"
    with pytest.raises(InputError, match=f"'1[.,]234' in column 'a', which can be read in {ambiguous}"):
        load_series(path)
    for signs in ({"thousands": thousands}, {"decimal": decimal}):
        np.testing.assert_allclose(load_series(path, **signs).values[:, 0], INTEGERS, rtol=1e-6)
    few = [value / 1000 for value in [1234, 15678, 123456] * 40]
    path = table(tmp_path / "y.csv", separator, [f"{value:.3f}".replace(".", thousands) for value in few])
    np.testing.assert_allclose(load_series(path, decimal=thousands).values[:, 0], few, rtol=1e-6)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["1.234", "0.500"] * 60, [1.234, 0.5]),
        (["1.234", "12.5"] * 60, [1.234, 12.5]),
        (["1.234", "1500"] * 60, [1.234, 1500]),
        (["1.234", "1234.5"] * 60, [1.234, 1234.5]),
        (["1.234", "1.5e3"] * 60, [1.234, 1500]),
        (["1,234", ",5"] * 60, [1.234, 0.5]),
        (["-1.234", "-.25"] * 60, [-1.234, -0.25]),
        (["7", "8"] * 60, [7, 8]),
        (["1.", "2."] * 60, [1, 2]),
        (["1,5E+03", "2"] * 60, [1500, 2]),
    ],
)
def test_a_decimal_sign_that_shows_itself(column, expected, tmp_path):
    np.testing.assert_allclose(load_series(table(tmp_path / "x.csv", ";", column)).values[:2, 0], expected)


def test_one_column_tells_of_another(tmp_path):
    """A decimal comma elsewhere makes the point part thousands; and the other way round."""
    path = table(tmp_path / "x.csv", ";", ["1.234"] * 120, ["0,5"] * 120)
    assert load_series(path).values[0].tolist() == [1234.0, 0.5]
    path = table(tmp_path / "y.csv", ";", ["1.234"] * 120, ["1,234,567"] * 120)
    assert load_series(path).values[0].tolist() == [pytest.approx(1.234), 1234567.0]


def test_the_whole_file_is_looked_at(tmp_path):
    """The first number with a sign is a megabyte down."""
    rows = "".join(f"{row};{'x' * 100};987\n" for row in range(10_000))
    (tmp_path / "x.csv").write_text("n;note;a\n" + rows + "10000;x;1.234\n")
    with pytest.raises(InputError, match="two ways"):
        load_series(tmp_path / "x.csv", target_columns=["a"])
    assert load_series(tmp_path / "x.csv", target_columns=["a"], thousands=".").values[-1, 0] == 1234


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f"])
def test_spaces_and_other_signs(space, tmp_path):
    path = table(tmp_path / "x.csv", ";", [text.replace("'", space) for text in written(FRACTIONS, ",", "'")])
    np.testing.assert_allclose(load_series(path, thousands=" ").values[:, 0], FRACTIONS, rtol=1e-6)
    path = table(tmp_path / "y.csv", ";", written(FRACTIONS, ".", "'"))
    np.testing.assert_allclose(load_series(path, thousands="'").values[:, 0], FRACTIONS, rtol=1e-6)
    with pytest.raises(InputError, match="thousands="):
        load_series(path)


def test_commas_in_quotes(tmp_path):
    path = table(tmp_path / "x.csv", ",", [f'"{text}"' for text in written(FRACTIONS, ".", ",")])
    with pytest.raises(InputError, match=r"thousands=','"):
        load_series(path)
    np.testing.assert_allclose(load_series(path, thousands=",").values[:, 0], FRACTIONS, rtol=1e-6)
    path = table(tmp_path / "y.csv", ",", [f'"{text}"' for text in written(INTEGERS, ".", ",")])
    np.testing.assert_allclose(load_series(path, decimal=",").values[1:3, 0], [1.234, 15.678], rtol=1e-6)


def test_groups_of_two(tmp_path):
    """As India writes 12,34,567."""
    path = table(tmp_path / "x.csv", ";", ["12,34,567", "1,234", "99"] * 40)
    assert load_series(path, thousands=",").values[:3, 0].tolist() == [1234567.0, 1234.0, 99.0]


def test_a_point_beside_decimal_commas_is_not_passed_over(tmp_path):
    path = table(tmp_path / "x.csv", ";", ["1,5"] * 120, ["1.234"] * 119 + ["1.5"])
    with pytest.raises(InputError, match=r"'1\.5' in column 'b'"):
        load_series(path, decimal=",")


@pytest.mark.parametrize(
    "signs",
    [
        {"decimal": ""},
        {"decimal": ",."},
        {"thousands": "1"},
        {"thousands": "-"},
        dict.fromkeys(("decimal", "thousands"), "."),
    ],
)
def test_signs_that_are_none(signs, tmp_path):
    path = table(tmp_path / "x.csv", ";", ["1"] * 120)
    with pytest.raises(InputError, match=r"expected (one sign|two signs)"):
        load_series(path, **signs)


def test_text_of_other_tables(tmp_path):
    """Of a DataFrame and of Parquet the signs are read too, and ids stay what they are."""
    frame = pd.DataFrame({"ds": HOURS, "id": "0.123", "a": written(FRACTIONS, ",", ".")})
    frame.to_parquet(tmp_path / "x.parquet")
    for source in (frame, tmp_path / "x.parquet"):
        series = load_series(source, id_column="id", decimal=",")
        assert series.columns == ("0.123",)
        np.testing.assert_allclose(series.values[:, 0], FRACTIONS, rtol=1e-6)


def test_the_flags_of_scripts(tmp_path, monkeypatch, capsys):
    """forecast.py and backtest.py read with them what a DataFrame says; distill.py's settings, too."""
    forecaster = trained_on(wide(names=["a"]).rename(columns={"date": "ds"}))
    save(forecaster, tmp_path / "model")
    path = table(tmp_path / "x.csv", ";", written(INTEGERS, ",", "."))
    right = forecaster.predict(pd.DataFrame({"ds": HOURS, "a": INTEGERS}))
    model = ("--model", tmp_path / "model", "--input", path, "--output")
    assert "two ways" in fails(monkeypatch, capsys, "forecast.py", *model, tmp_path / "no.csv")
    run(monkeypatch, "forecast.py", *model, tmp_path / "y.csv", "--thousands", ".")
    np.testing.assert_allclose(pd.read_csv(tmp_path / "y.csv")["a"], right["a"], rtol=1e-5)
    last = ("--num_windows", "1", "--decimal", ",", "--duplicates", "last")
    run(monkeypatch, "backtest.py", *model, tmp_path / "z.csv", *last)
    assert pd.read_csv(tmp_path / "z.csv")["y"].tolist() == INTEGERS[-HORIZON:]
    lengths = {"context_length": 24, "prediction_length": 6}
    data = load_data(DataSettings(dataset=str(path), thousands=".", duplicates="mean", **lengths))
    assert data.series.values[:, 0].tolist() == INTEGERS
