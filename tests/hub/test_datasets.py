"""Series on the Hub: hosted as configurations of a data set, read by `datasets` and by this package."""

import io
import re
from unittest import mock

import datasets
import numpy as np
import pandas as pd
import pytest
from huggingface_hub import DatasetCard, HfApi

from timedistill_hf import load_series
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data.benchmarks import HUB_DATASET
from timedistill_hf.hub import publish_series
from timedistill_hf.hub.series import _to_parquet


def wide(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    frame = pd.DataFrame(np.random.default_rng(seed).normal(size=(rows, 2)), columns=["load", "price"])
    frame.insert(0, "date", pd.date_range("2024-01-01", periods=rows, freq="h"))
    return frame


def long() -> pd.DataFrame:
    """Two stores; the one that begins later comes first."""
    rows = [("007", "2024-01-03", 1.5), ("007", "2024-01-04", 2.5)]
    rows += [("b", f"2024-01-{day:02}", float(day)) for day in range(1, 21)]
    return pd.DataFrame(rows, columns=["store", "when", "sales"])


# what runs in the client's process


def host(source, name, **kwargs):
    return publish_series(source, name, **{"license": "cc-by-4.0", **kwargs}).oid


def read(name, **kwargs):
    """As `datasets` gives it, whole and streamed."""
    table = datasets.load_dataset(name, split="train", **kwargs)
    streamed = datasets.load_dataset(name, split="train", streaming=True, **kwargs)
    return table.to_pandas(), list(streamed)


def host_beside_another(source, name):
    """Someone else commits after the card was read and before the new one is sent."""

    def to_parquet(*args):
        HfApi().upload_file(path_or_fileobj=b"theirs", path_in_repo="LICENSE", repo_id=name, repo_type="dataset")
        return _to_parquet(*args)

    with mock.patch("timedistill_hf.hub.series._to_parquet", to_parquet):
        host(source, name)


def series(source, **kwargs):
    return load_series(source, **kwargs)


def configs(name):
    return datasets.get_dataset_config_names(name)


def card_of(hub, name) -> DatasetCard:
    return DatasetCard(hub.files(name, "dataset")["README.md"].decode())


def assert_same(read_back, expected):
    assert read_back.fingerprint() == expected.fingerprint()
    assert np.array_equal(read_back.timestamps, expected.timestamps)
    assert (read_back.columns, read_back.freq, read_back.season) == (expected.columns, expected.freq, expected.season)


def test_a_file_comes_back_as_it_was(hub, client, tmp_path):
    """A CSV file with a semicolon, decimal commas, a gap, a left-out row, and rows out of order."""
    frame = wide()
    frame.loc[7, "load"] = np.nan
    frame = frame.drop(index=20).iloc[::-1]
    frame.to_csv(tmp_path / "mine.csv", index=False, sep=";", decimal=",")
    client.run(host, tmp_path / "mine.csv", "user/of-files", description="Load in MW, price in EUR.")
    files = hub.files("user/of-files", "dataset")
    assert set(files) == {".gitattributes", "README.md", "mine/train-00000-of-00001.parquet"}
    assert len(hub.messages("user/of-files", "dataset")) == 1
    expected = load_series(tmp_path / "mine.csv")
    assert_same(client.run(series, "user/of-files"), expected)
    assert_same(client.run(series, "user/of-files", hub_config="mine"), expected)
    table, streamed = client.run(read, "user/of-files")
    assert table["date"].is_monotonic_increasing
    assert len(table) == len(streamed) == 299
    assert pd.DataFrame(streamed)["date"].tolist() == table["date"].tolist()
    np.testing.assert_array_equal(pd.DataFrame(streamed)["price"], table["price"])


def test_the_card_says_what_there_is(hub, client, tmp_path):
    wide().to_parquet(tmp_path / "grid.parquet")
    client.run(host, tmp_path / "grid.parquet", "user/card", split="200,50,50", description="Made up.")
    card = card_of(hub, "user/card")
    assert card.data.license == "cc-by-4.0"
    assert card.data.configs == [{"config_name": "grid", "data_files": [{"split": "train", "path": "grid/train-*"}]}]
    info = card.data.dataset_info
    assert info["splits"][0]["num_examples"] == 300
    assert [feature["name"] for feature in info["features"]] == ["date", "load", "price"]
    assert info["download_size"] == len(hub.files("user/card", "dataset")["grid/train-00000-of-00001.parquet"])
    for said in ("2024-01-01 00:00:00 to 2024-01-13 11:00:00, every `h`", "2: `load`, `price`", "Made up.", "24 steps",
                 "steps 0 to 200, 200 to 250, 250 to 300", "--split 200,50,50"):  # fmt: skip
        assert said in card.text, said
    snippet = card.text.split("```python\n")[1].split("```")[0]
    assert client.run(run_snippet, snippet) == (300, 300)


def run_snippet(snippet):
    names = {}
    exec(snippet, names)
    return len(names["table"]), names["series"].num_rows


def test_a_second_data_set_keeps_the_first(hub, client, tmp_path):
    wide().to_csv(tmp_path / "first.csv", index=False)
    long().to_csv(tmp_path / "second.csv", index=False)
    client.run(host, tmp_path / "first.csv", "user/both")
    repository = hub.repositories["dataset", "user/both"]
    edited = hub.files("user/both", "dataset")["README.md"].replace(b"Time series for", b"My own words on series for")
    repository.add("main", "edited", repository.find("main").files | {"README.md": edited})
    client.run(host, tmp_path / "second.csv", "user/both", id_column="store", timestamp_column="when", license="mit")
    assert client.run(configs, "user/both") == ["first", "second"]
    assert_same(client.run(series, "user/both", hub_config="first"), load_series(tmp_path / "first.csv"))
    expected = load_series(tmp_path / "second.csv", id_column="store", timestamp_column="when")
    assert expected.columns == ("007", "b")
    assert_same(client.run(series, "user/both", hub_config="second", id_column="store"), expected)
    card = card_of(hub, "user/both")
    assert "My own words" in card.text
    assert sorted(re.findall(r"^## (\w+)$", card.text, re.M)) == ["first", "second"]
    assert card.data.license == ["cc-by-4.0", "mit"]
    with pytest.raises(
        InputError, match=r"several configurations: name one with `hub_config`; it has \['first', 'second'\]"
    ):
        client.run(series, "user/both")
    with pytest.raises(InputError, match=r"no configuration 'frist'; did you mean 'first'\?: it has"):
        client.run(series, "user/both", hub_config="frist")


def test_a_configuration_is_replaced_on_request_only(hub, client, tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        wide(seed=seed).to_csv(tmp_path / f"{name}.csv", index=False)
    client.run(host, tmp_path / "a.csv", "user/again", config_name="x")
    first = hub.repositories["dataset", "user/again"].find("main").sha
    files = hub.files("user/again", "dataset")
    extra = {"x/train-00001-of-00002.parquet": files["x/train-00000-of-00001.parquet"]}
    hub.repositories["dataset", "user/again"].add("main", "as if it had had two files", files | extra)
    with pytest.raises(InputError, match=r"has a configuration 'x' already: name another `config_name`, or pass"):
        client.run(host, tmp_path / "b.csv", "user/again", config_name="x")
    client.run(host, tmp_path / "b.csv", "user/again", config_name="x", overwrite=True, license="mit")
    assert set(hub.files("user/again", "dataset")) == set(files)
    assert_same(client.run(series, "user/again"), load_series(tmp_path / "b.csv"))
    assert_same(client.run(series, "user/again", dataset_revision=first), load_series(tmp_path / "a.csv"))
    card = card_of(hub, "user/again")
    assert card.data.license == "mit"
    assert card.text.count("## x\n") == 1


def test_time_zones_and_a_table_without_time(client, tmp_path):
    zoned = wide(48).assign(date=pd.date_range("2024-01-01", periods=48, freq="h", tz="Europe/Berlin"))
    zoned.to_parquet(tmp_path / "zoned.parquet")
    client.run(host, tmp_path / "zoned.parquet", "user/kinds")
    plain = wide(48).drop(columns="date")
    plain.to_csv(tmp_path / "plain.csv", index=False)
    client.run(host, tmp_path / "plain.csv", "user/kinds")
    expected = load_series(tmp_path / "zoned.parquet")
    assert expected.timestamps[0] == np.datetime64("2023-12-31T23:00")
    assert_same(client.run(series, "user/kinds", hub_config="zoned"), expected)
    read_back = client.run(series, "user/kinds", hub_config="plain")
    assert read_back.fingerprint() == load_series(tmp_path / "plain.csv").fingerprint()
    assert read_back.timestamps is None


def test_what_cannot_be_hosted_is_refused_first(hub, client, tmp_path):
    wide().to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(InputError, match="no number"):
        client.run(host, wide().assign(load="much"), "user/refused", config_name="x")
    with pytest.raises(InputError, match="config_name='a b': expected letters"):
        client.run(host, tmp_path / "mine.csv", "user/refused", config_name="a b")
    with pytest.raises(InputError, match="license='My own': expected a licence as the Hub names it"):
        client.run(host, tmp_path / "mine.csv", "user/refused", license="My own")
    with pytest.raises(InputError, match="there is no token for the Hub"):
        client.run(host, tmp_path / "mine.csv", "user/refused", token=None)
    assert ("dataset", "user/refused") not in hub.repositories
    mixed = hub.create("user/mixed", "dataset")
    mixed.add("main", "csv", {"data.csv": b"a,b\n1,2\n"})
    with pytest.raises(InputError, match=r"holds \['data.csv'\]: all its files must be Parquet"):
        client.run(host, tmp_path / "mine.csv", "user/mixed")
    with pytest.raises(InputError, match="may not change the data set 'user/mixed'"):
        client.run(host, tmp_path / "mine.csv", "user/mixed", token="hf_stranger")


def test_an_upload_that_breaks_hosts_nothing(hub, client, tmp_path):
    wide().to_csv(tmp_path / "mine.csv", index=False)
    with hub.cutting("POST .*/commit/main"), pytest.raises(InputError, match="connection to the Hub failed"):
        client.run(host, tmp_path / "mine.csv", "user/cut-series")
    assert hub.messages("user/cut-series", "dataset") == []
    client.run(host, tmp_path / "mine.csv", "user/cut-series")
    with hub.cutting("GET .*/resolve/.*parquet"), pytest.raises(InputError, match="connection to the Hub failed"):
        client.run(series, "user/cut-series")
    assert_same(client.run(series, "user/cut-series"), load_series(tmp_path / "mine.csv"))


def test_what_someone_else_changes_meanwhile_is_not_lost(hub, client, tmp_path):
    wide().to_csv(tmp_path / "mine.csv", index=False)
    hub.create("user/shared", "dataset")
    with pytest.raises(InputError, match="'user/shared' was changed by someone else meanwhile: try again"):
        client.run(host_beside_another, tmp_path / "mine.csv", "user/shared")
    client.run(host, tmp_path / "mine.csv", "user/shared")
    assert {"LICENSE", "mine/train-00000-of-00001.parquet"} <= set(hub.files("user/shared", "dataset"))


def test_a_private_data_set_wants_a_token(client, tmp_path):
    client.run(host, wide(), "user/hidden-series", config_name="x", private=True)
    with pytest.raises(
        InputError, match="no data set 'user/hidden-series' to be read without a token: check the name"
    ):
        client.run(series, "user/hidden-series", token=None)
    with pytest.raises(InputError, match="no data set 'user/no-series' to be read with this token"):
        client.run(series, "user/no-series")


@pytest.mark.parametrize(
    ("splits", "read_rows"), [(("train", "test"), 30), (("test",), 20), (("validation", "test"), None)]
)
def test_of_several_splits_train_is_read(hub, client, splits, read_rows):
    """A data set that others made: with splits in files of their own."""
    rows = {"train": 30, "validation": 10, "test": 20}
    name = f"user/splits-{'-'.join(splits)}"
    files = {f"data/{split}.csv": wide(rows[split]).to_csv(index=False).encode() for split in splits}
    hub.create(name, "dataset").add("main", "files", files)
    if read_rows is None:
        with pytest.raises(InputError, match=r"has the splits \['validation', 'test'\]: expected one called 'train'"):
            client.run(series, name)
    else:
        assert client.run(series, name).num_rows == read_rows


@pytest.fixture
def benchmarks(hub):
    """The public repository's layout, with generated data: CSV files, a configuration each, `date` and columns."""
    files, entries = {}, []
    for config, path in (("ETTh1", "ETT-small/ETTh1.csv"), ("Weather", "weather/weather.csv")):
        buffer = io.StringIO()
        wide(14500 if config == "ETTh1" else 300).to_csv(buffer, index=False)
        files[path] = buffer.getvalue().encode()
        data_files = f"  data_files:\n  - split: train\n    path: {path}\n"
        entries.append(f"- config_name: {config}\n{data_files}")
    files["README.md"] = f"---\nlicense: cc-by-4.0\nconfigs:\n{''.join(entries)}---\n\n# Series\n".encode()
    repository = hub.create(HUB_DATASET, "dataset")
    repository.add("main", "layout", files)
    return repository


def test_benchmarks_come_from_the_public_repository(client, offline_client, benchmarks, tmp_path):
    found = client.run(series, "etth1", token=None)
    (tmp_path / "ETTh1.csv").write_bytes(benchmarks.find("main").files["ETT-small/ETTh1.csv"])
    assert_same(found, load_series("etth1", data_dir=tmp_path))
    assert (found.name, found.freq, found.num_rows) == ("etth1", "h", 14500)
    assert client.run(series, "weather", token=None).num_rows == 300, "whatever the case of its name"
    with pytest.raises(InputError) as caught:
        client.run(series, "solar", token=None)
    assert "has no configuration 'solar_AL'" in str(caught.value)
    assert "it has ['ETTh1', 'Weather']; or give local files" in str(caught.value)
    assert_same(offline_client.run(series, "etth1"), found)
    with pytest.raises(InputError, match=r"'thuml/Time-Series-Library' is not in the cache .* unset HF_HUB_OFFLINE"):
        offline_client.run(series, "traffic")


def test_a_benchmark_is_hosted_with_its_split(hub, client, tmp_path):
    wide(14500).to_csv(tmp_path / "ETTh1.csv", index=False)
    client.run(host, "etth1", "user/benchmark", data_dir=tmp_path)
    assert "steps 0 to 8,640, 8,640 to 11,520, 11,520 to 14,400" in card_of(hub, "user/benchmark").text
    expected = load_series("etth1", data_dir=tmp_path)
    assert_same(client.run(series, "user/benchmark", hub_config="etth1"), expected)
