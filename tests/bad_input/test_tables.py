"""T: tables that no script takes, each refused by the three scripts in turn."""

import numpy as np
import pandas as pd
import pytest

from tests.bad_input.tables import BASE, LINES, LONG, TEXT, from_row, parquet, with_cell, with_dates, write


SCRIPTS = ("distill.py", "train_teacher.py", "evaluate.py")


def lines(*changed: str) -> str:
    return "\n".join(changed) + "\n"


FILES = [
    ("empty", "x.csv", "", "x.csv' has no rows", "expected a line of column names"),
    ("header only", "x.csv", lines(LINES[0]), "x.csv' has no rows", "one line a time step"),
    ("no header", "x.csv", lines(*LINES[1:]), "'2020-01-01 00:00:00'", "write a line with the columns' names"),
    ("title above", "x.csv", lines("Load of 2020", *LINES), "names 1 columns", "give every column a name"),
    ("units below", "x.csv", lines(LINES[0], "h,kW,kW,kW", *LINES[1:]), "timestamp 'h'", "expected a date"),
    ("header again", "x.csv", lines(*LINES[:99], *LINES), "row 98", "expected a date such as"),
    ("one row longer", "x.csv", lines(*LINES[:200], LINES[200] + ",7", *LINES[201:]), "line 201, saw 5", "give every"),
    ("all rows longer", "x.csv", lines(LINES[0], *(line + ",7" for line in LINES[1:])), "4 columns", "5 cells"),
    ("decimal comma", "x.csv", BASE.to_csv(index=False, decimal=","), "'33,6055", "write a decimal point"),
    ("unquoted decimal comma", "x.csv", lines("date,a", "2020-01-01,1,5"), "3 cells", "separate cells by semicolons"),
    ("one endless cell", "x.csv", "a" * 200_000 + "\n1\n", "x.csv' cannot be read", "separate its cells by commas"),
    ("binary", "x.csv", bytes(range(256)), "no text in UTF-8", "save it as 'CSV UTF-8'"),
    ("zero bytes", "x.csv", b"date,a\n\0\0\n", "bytes that are no text", "expected a CSV file"),
    ("latin-1", "x.csv", TEXT.replace("load_0", "größe").encode("latin-1"), "no text in UTF-8", "save it as"),
    ("latin-1 far below", "x.csv", lines(*LINES * 9).encode() + b"\xe9", "no text in UTF-8", "convert it (iconv"),
    ("utf-16", "x.csv", TEXT.encode("utf-16"), "no text in UTF-8", "convert it (iconv"),
    ("parquet called csv", "x.csv", "PARQUET", "x.csv' is no text in UTF-8", "save it as"),
    ("csv called parquet", "x.parquet", TEXT, "cannot be read as parquet", "write it anew"),
    ("empty parquet", "x.parquet", "", "file size is 0 bytes", "write it anew"),
    ("half a parquet", "x.parquet", "HALF", "cannot be read as parquet", "write it anew"),
    ("another suffix", "x.xlsx", TEXT, "x.xlsx' is no .csv or .parquet", "convert it"),
    ("cut and packed", "x.csv.gz", b"\x1f\x8b\x08", "x.csv.gz' cannot be read", "write it anew"),
]

CELLS = [
    ("two columns of one name", lines("date,a,a", *(line.rsplit(",", 1)[0] for line in LINES[1:])), "'a'", "own name"),
    ("no value column", BASE[["date"]], "no value column", "expected one a series"),
    ("truth values", BASE.assign(load_0=BASE["load_0"] > 0), "'load_0' of", "write 0 and 1"),
    ("words", BASE.assign(load_0="on"), "holds 'on', no number", "with target_columns"),
    ("one word", with_cell("off"), "row 100", "has 'off' in column 'load_0', no number: leave the cell empty"),
    ("a dash", with_cell("-"), "has '-' in column 'load_0'", "leave the cell empty where the value is missing"),
    ("a thousands comma", with_cell("1,234"), "has '1,234'", "write it without comma"),
    ("percent", with_cell("3 %"), "has '3 %' in column 'load_0'", "no number"),
    ("infinite", with_cell(np.inf), "column 'load_0' holds an infinite value", "leave it empty"),
    ("minus infinite", with_cell(-np.inf), "column 'load_0' holds an infinite value", "replace it"),
    ("beyond float32", with_cell(1e300), "1e+300 in column 'load_0'", "expected at most 3.4e+38"),
    ("seconds since 1970", BASE.assign(date=np.arange(400) * 3600), "numbers such as 0", "write dates (2024-01-31"),
    ("one unreadable date", with_dates(lambda dates: dates.replace(dates[77], "soon")), "'soon'", "expected a date"),
    ("one empty date", with_dates(lambda dates: dates.replace(dates[77], "")), "row 77", "fill it, or drop the row"),
    (
        "another format from some row on",
        with_dates(lambda dates: from_row(200, dates, BASE["date"].dt.strftime("%d.%m.%Y %H:%M"))),
        "row 200", "written alike in all rows",
    ),
    ("a zone in some rows", with_dates(lambda dates: from_row(9, dates, dates + "+02:00")), "row 9", "or all without"),
    ("day or month first", BASE.assign(date="03/04/2020"), "'03/04/2020', may begin with", "write them as 2024-01-31"),
    ("one date in all rows", BASE.assign(date="2024-01-01"), "several rows at 2024-01-01", "keep one of them"),
    ("a row twice", pd.concat([BASE, BASE[5:6]]), "several rows at 2020-01-01 05:00:00", "keep one of them"),
    ("long without its id", LONG, "'load_0', no number", "give id_column='store'"),
    ("long without its usual id", LONG.rename(columns={"store": "item_id"}), "'item_id'", "give id_column='item_id'"),
]  # fmt: skip

ROLES = [
    ("id missing in a row", LONG.assign(store=LONG["store"].where(LONG.index != 3)), ["--id_column", "store"],
     "row 3", "has no id in column 'store': fill it, or drop the row"),
    ("a row of an id twice", pd.concat([LONG, LONG[:1]]), ["--id_column", "store"], "id 'load_0' at", "keep one"),
    ("no such id column", LONG, ["--id_column", "sotre"], "'sotre'", "did you mean 'store'?"),
    ("ids without time", LONG.drop(columns="date"), ["--id_column", "store"], "'store'", "column, one of ['sales']"),
    ("id is time", LONG, ["--id_column", "date"], "'date' cannot hold both", "give another id_column"),
    ("id is target", LONG, ["--id_column", "store", "--target_columns", "store"], "'store'", "value columns only"),
    ("no such target", BASE, ["--target_columns", "load"], "no column 'load'", "did you mean 'load_"),
    ("nothing like that target", BASE, ["--target_columns", "x"], "no column 'x'", "it has ['date', 'load_0'"),
    ("time is target", BASE, ["--target_columns", "load_0", "date"], "'date', the column of time", "value columns"),
    ("a target twice", BASE, ["--target_columns", "load_0", "load_0"], "'load_0' twice", "name each column once"),
    ("no such time column", BASE, ["--timestamp_column", "dat"], "no column 'dat'", "did you mean 'date'?"),
    ("time column of numbers", BASE, ["--timestamp_column", "load_0"], "numbers such as 33.6", "timestamp_column"),
    ("columns of the generated series", "synthetic", ["--target_columns", "x"], "fixed columns", "are for files"),
]  # fmt: skip

WINDOWS = [
    ("one row", BASE[:1], [], "no train rows among the 1", "change --split"),
    ("no room for a window", BASE[:60], [], "train has 42 of the 60 rows", "needs 64 of its own: lower them"),
    ("nothing in a column", BASE.assign(load_1=np.nan), [], "'load_1' has no value in the 280", "leave it out"),
    ("nothing in train rows", BASE.assign(load_1=BASE["load_1"].where(BASE.index > 290)), [], "'load_1'", "leave it"),
    ("nothing but the sentinel", BASE.assign(load_1=-9999.0), ["--missing_value", "-9999"], "'load_1'", "leave it"),
    ("nothing in test rows", BASE[:320].merge(BASE[["date"]], how="right"), [], "(320, 400)", "change --split"),
    ("a value far beyond", with_cell(1e30, row=350), [], "row 350", "1e+30 in column 'load_0'"),
    ("two shares", BASE, ["--split", "1,2"], "split '1,2'", "expected ratios (0.7,0.1,0.2)"),
    ("no numbers", BASE, ["--split", "a,b,c"], "split 'a,b,c'", "expected ratios"),
    ("an empty split", BASE, ["--split", ""], "split ''", "three numbers above 0"),
    ("more than the whole", BASE, ["--split", "0.9,0.2,0.1"], "split '0.9,0.2,0.1'", "add up to 1.2, more than 1"),
    ("a negative share", BASE, ["--split=-0.7,0.1,0.2"], "split '-0.7,0.1,0.2'", "three numbers above 0"),
    ("more rows than there are", BASE, ["--split", "300,100,100"], "needs 500 rows, the series has 400", "smaller"),
    ("dates outside", BASE, ["--split", "2030-01-01,2031-01-01"], "('2030-01-01', '2031-01-01')", "rising dates"),
    ("falling dates", BASE, ["--split", "2020-01-12,2020-01-08"], "'2020-01-08'", "give rising dates inside it"),
    ("one date", BASE, ["--split", "2020-01-12"], "split '2020-01-12'", "two or three dates"),
    ("no such day", BASE, ["--split", "2020-02-31,2020-03-31"], "split '2020-02-31", "expected ratios"),
    ("dates without time", BASE.drop(columns="date"), ["--split", "2020-01-12,2020-01-14"], "'2020-01-12'", "by rows"),
    ("context of 0", BASE, ["--context_length", "0"], "--context_length 0", "expected a positive number of steps"),
    ("negative horizon", BASE, ["--prediction_length", "-4"], "--prediction_length -4", "expected a positive number"),
    ("context beyond the data", BASE, ["--context_length", "5000"], "context_length=5000", "lower them"),
    ("season of 0", BASE, ["--season", "0"], "--season 0", "expected a positive number of steps"),
    ("sentinel of words", BASE, ["--missing_value", "none"], "invalid float value: 'none'", "--help lists"),
]  # fmt: skip

PLACES = [
    ("a near miss", ["--dataset", "ettm3"], "'ettm3'", "did you mean 'ettm"),
    ("no such file", ["--dataset", "none/such/x.csv"], "no file 'none/such/x.csv'", "expected a .csv"),
    ("no name", ["--dataset", ""], "no file ''", "expected a .csv"),
    ("a folder", ["--dataset", "."], "'.' is a folder", "name a .csv or .parquet file in it"),
    ("no such Hub data set", ["--dataset", "nobody/nothing"], "'nobody/nothing'", "unset HF_HUB_OFFLINE"),
    ("no such data_dir", ["--dataset", "etth1", "--data_dir", "nowhere"], "'nowhere' is no folder", "etth1.parquet"),
    (
        "nothing in data_dir",
        ["--dataset", "solar_sub12", "--data_dir", "."],
        "holds no solar_sub12",
        "give the folder",
    ),
    ("not there, nor on the Hub", ["--dataset", "etth1", "--data_dir", "."], "holds no etth1", "unset HF_HUB_OFFLINE"),
    ("data_dir not given", ["--dataset", "traffic_sub6"], "'traffic_sub6' is a local file", "with --data_dir"),
]


def numbered(cases: list[tuple], first: int) -> list:
    """Each case with a script: the three in turn."""
    return [
        pytest.param(SCRIPTS[index % 3], *case[1:], id=f"T{first + index:02}-{case[0].replace(' ', '-')}")
        for index, case in enumerate(cases)
    ]


@pytest.mark.parametrize(("script", "name", "content", "value", "remedy"), numbered(FILES, 1))
def test_a_file(script, name, content, value, remedy, refused, work):
    whole = parquet(BASE, work)
    content = {"PARQUET": whole, "HALF": whole[: len(whole) // 2]}.get(content, content) if content else b""
    refused(script, "--dataset", write(content, work / name), found=(value, remedy))


@pytest.mark.parametrize(("script", "content", "value", "remedy"), numbered(CELLS, 30))
def test_columns_and_cells(script, content, value, remedy, refused, work):
    refused(script, "--dataset", write(content, work / "x.csv"), found=(value, remedy))


@pytest.mark.parametrize(("script", "content", "flags", "value", "remedy"), numbered(ROLES, 60))
def test_what_columns_are_for(script, content, flags, value, remedy, refused, work):
    dataset = content if isinstance(content, str) else write(content, work / "x.csv")
    refused(script, "--dataset", dataset, *flags, found=(value, remedy))


@pytest.mark.parametrize(("script", "content", "flags", "value", "remedy"), numbered(WINDOWS, 80))
def test_what_leaves_no_windows(script, content, flags, value, remedy, refused, work):
    script = "distill.py" if script == "evaluate.py" else script  # it has lengths and a scaler of the model
    refused(script, "--dataset", write(content, work / "x.csv"), *flags, found=(value, remedy))


@pytest.mark.parametrize(("script", "flags", "value", "remedy"), numbered(PLACES, 110))
def test_where_nothing_is(script, flags, value, remedy, refused, work, monkeypatch):
    (work / "elsewhere").mkdir()
    monkeypatch.chdir(work / "elsewhere")
    refused(script, *flags, found=(value, remedy))


def test_cells_that_hold_lists(refused, work):
    path = write(BASE.assign(load_0=[[1, 2]] * 400), work / "x.parquet")
    refused("distill.py", "--dataset", path, found=("'load_0' of", "no number: name the value columns"))
    (work / "y.parquet").mkdir()
    refused("distill.py", "--dataset", work / "y.parquet", found=("y.parquet' is a folder", "name a .csv"))
