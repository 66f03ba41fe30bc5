"""M: saved models that cannot be used, as a teacher or to be scored. F: places where results cannot be written."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.bad_input.tables import BASE, write


WEIGHTS, CONFIG, PROCESSOR = "model.safetensors", "config.json", "preprocessor_config.json"


def content(name: str, text: str | bytes) -> Callable[[Path], object]:
    return lambda folder: write(text, folder / name)


def cut(name: str, share: float) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / name, int(share * (folder / name).stat().st_size))


def fields(name: str, **changes) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        before = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(before | changes))

    return change


def weights(change: Callable[[dict], dict]) -> Callable[[Path], object]:
    return lambda folder: save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


EITHER = [
    ("empty folder", emptied, "", "holds no config.json; give the folder"),
    ("no configuration", lambda folder: (folder / CONFIG).unlink(), "", "holds no config.json; give the folder"),
    ("a configuration of words", content(CONFIG, "hello"), "not a valid JSON", "give the folder or Hub id of"),
    ("half a configuration", cut(CONFIG, 0.5), "not a valid JSON", "give the folder or Hub id of a trained model"),
    ("an empty configuration", content(CONFIG, ""), "not a valid JSON", "give the folder or Hub id"),
    ("a list as configuration", content(CONFIG, "[1]"), "config.json holds a list", "give the folder"),
    ("bytes as configuration", content(CONFIG, bytes(range(256))), "JSON", "give the folder or Hub id"),
    ("another model", fields(CONFIG, model_type="bert"), "of type 'bert'", "expected one of patchtst, itransformer"),
    ("code of its own", fields(CONFIG, model_type="x", auto_map={"AutoConfig": "x.X"}), "custom code", "give the"),
    ("no weights", lambda folder: (folder / WEIGHTS).unlink(), "no file named model.safetensors", "expected the safe"),
    ("pickled weights", pickled, "no file named model.safetensors", "pickled weights are not read"),
    ("half the weights", cut(WEIGHTS, 0.5), "cannot be loaded as", "expected the safetensors file that was saved"),
    ("empty weights", cut(WEIGHTS, 0), "header too small", "expected the safetensors file that was saved"),
    ("words as weights", content(WEIGHTS, "no weights " * 99), "cannot be loaded as", "expected the safetensors"),
    ("weights of another model", weights(lambda _: {"bert.x": torch.ones(2)}), "they lack '", "saved with its config"),
    ("a weight too few", weights(lambda all_: dict(list(all_.items())[1:])), "they lack '", "saved with its config"),
    ("a weight too many", weights(lambda all_: all_ | {"x": torch.ones(2)}), "has, 'x'", "saved with its config.json"),
    ("weights of nan", weights(lambda all_: {name: value.float() * torch.nan for name, value in all_.items()}),
     "holds NaN or infinite values", "train the model anew"),
]  # fmt: skip
ONE = [
    ("itransformer", fields(CONFIG, d_model="wide"), "'d_model' expected int, got str", "give the folder"),
    ("itransformer", fields(CONFIG, d_model=-8), "d_model=-8: expected a positive number", "give the folder"),
    ("itransformer", fields(CONFIG, d_model=16), "is of shape (8,), not (16,)", "saved with its config.json"),
    ("itransformer", fields(CONFIG, num_hidden_layers=3), "they lack 'layers.1.", "saved with its config.json"),
    ("patchtst", fields(CONFIG, num_hidden_layers=0), "more than that model has", "saved with its config.json"),
    ("patchtst", fields(CONFIG, d_model=-8), "negative dimension -8", "saved with its config.json"),
    ("student", fields(CONFIG, hidden_size="wide"), "'hidden_size' expected int, got str", "give the folder"),
    ("student", fields(CONFIG, moving_average=4), "moving_average=4: expected an odd", "give the folder"),
    ("student", fields(CONFIG, hidden_size=32), "of shape (16, 16), not (16, 32)", "saved with its config.json"),
    ("student", fields(CONFIG, architecture="mlp"), "they lack 'backbone.", "saved with its config.json"),
    ("student", fields(CONFIG, context_length=96), "of shape (16, 48), not (16, 96)", "saved with its config.json"),
]
PROCESSORS = [
    ("half of it", cut(PROCESSOR, 0.5), "student'", "save the one"),
    ("a list", content(PROCESSOR, "[]"), "student'", "save the one of the model's training there"),
    ("nothing in it", content(PROCESSOR, "{}"), "'columns', 'mean', 'std'", "save the one of the model's training"),
    ("bytes", content(PROCESSOR, bytes(range(256))), "student'", "save the one of the model's training there"),
    ("a column too few", fields(PROCESSOR, columns=["load_0", "load_1"]), "2 columns, 3 means", "expected the same"),
    ("a deviation of 0", fields(PROCESSOR, std=[1, 0, 1]), "'load_1'", "the deviation above 0"),
    ("a mean of nan", fields(PROCESSOR, mean=[1, 2, float("nan")]), "'load_2' has the mean nan", "finite numbers"),
    ("words for a mean", fields(PROCESSOR, mean=["a", 2, 3]), "'a'", "save the one of the model's training there"),
    ("a negative horizon", fields(PROCESSOR, prediction_length=-1), "prediction_length=-1", "a positive number"),
    ("another look-back", fields(PROCESSOR, context_length=96), "from 48 to 16 steps", "from 96 to 16 of 3: save the"),
    (
        "other columns",
        fields(PROCESSOR, columns=["a", "b", "c"]),
        "fitted on ['a', 'b', 'c']",
        "or fit a new processor",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "value", "remedy"),
    [pytest.param(*case, id=f"M{n:02}-{name.replace(' ', '-')}") for n, (name, *case) in enumerate(EITHER, 1)],
)
@pytest.mark.parametrize("name", ["itransformer", "student"])
def test_any_model(name, spoil, value, remedy, refused, work):
    """Scored, and a teacher also given to distil from."""
    spoil(work / name)
    refused("evaluate.py", "--model", work / name, found=(str(work / name), value, remedy))
    if name != "student":
        refused("distill.py", found=(str(work / name), value, remedy))


@pytest.mark.parametrize(
    ("name", "spoil", "value", "remedy"),
    [pytest.param(*case, id=f"M{n}-{case[0]}-{case[2].replace(' ', '-')}") for n, case in enumerate(ONE, 30)],
)
def test_a_configuration_that_is_not_of_its_weights(name, spoil, value, remedy, refused, work):
    spoil(work / name)
    refused("evaluate.py", "--model", work / name, found=(str(work / name), value, remedy))
    if name != "student":
        refused("distill.py", "--teacher", work / name, found=(str(work / name), value, remedy))


@pytest.mark.parametrize(
    ("spoil", "value", "remedy"),
    [pytest.param(*case, id=f"M{n}-{name.replace(' ', '-')}") for n, (name, *case) in enumerate(PROCESSORS, 50)],
)
def test_a_processor(spoil, value, remedy, refused, work):
    spoil(work / "student")
    refused("evaluate.py", found=(value, remedy))


ELSEWHERE = [
    ("a file as teacher", "distill.py", ["--teacher", "mine.csv"], "'mine.csv'", "give the folder or Hub id"),
    ("a file as model", "evaluate.py", ["--model", "mine.csv"], "'mine.csv'", "give the folder or Hub id"),
    ("no such folder", "evaluate.py", ["--model", "./a/b"], "'./a/b'", "Hub id of a trained model"),
    ("no such path", "distill.py", ["--teacher", "/no/such"], "'/no/such'", "there is no such folder"),
    ("no such Hub model", "evaluate.py", ["--model", "nobody/x"], "'nobody/x'", "unset HF_HUB_OFFLINE"),
    ("another look-back", "distill.py", ["--context_length", 64], "context_length=48", "pass --context_length 48"),
    ("another horizon", "distill.py", ["--prediction_length", 24], "prediction_length=16", "pass --prediction_length"),
    ("fewer channels", "distill.py", ["--teacher", "patchtst", "--target_columns", "load_0"], "3 channels", "have 1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "flags", "value", "remedy"),
    [pytest.param(*case, id=f"M{n}-{name.replace(' ', '-')}") for n, (name, *case) in enumerate(ELSEWHERE, 70)],
)
def test_a_model_that_is_not_the_one(script, flags, value, remedy, refused, work, monkeypatch):
    monkeypatch.chdir(work)
    flags = ["./patchtst" if flag == "patchtst" else flag for flag in flags]
    refused(script, *flags, found=(value, remedy))


@pytest.mark.parametrize(
    ("table", "value", "remedy"),
    [
        pytest.param(BASE.drop(columns="load_1"), "['load_0', 'load_2']", "add ['load_1']", id="M80-lacks-a-column"),
        pytest.param(BASE.rename(columns={"load_0": "x"}), "['x', 'load_1'", "add ['load_0']", id="M81-another-name"),
        pytest.param(BASE.assign(more=1.0), "'load_2', 'more']", "(--target_columns)", id="M82-a-column-more"),
        pytest.param(BASE[BASE.columns[::-1]], "['load_2', 'load_1'", "order them alike", id="M83-another-order"),
        pytest.param(BASE[:50], "35 of the 50 rows", "context_length=48", id="M84-too-short"),
    ],
)
def test_data_that_the_model_does_not_know(table, value, remedy, refused, work):
    refused("evaluate.py", "--dataset", write(table, work / "x.csv"), found=(value, remedy))


def test_folders_of_results(refused, work):
    """F01 to F09: what `--output_dir` may not be."""
    for script in ("distill.py", "train_teacher.py"):
        refused(script, "--output_dir", work / "mine.csv", found=("mine.csv' is no folder", "another --output_dir"))
        refused(script, "--output_dir", work / "mine.csv/out", found=("lies below the file", "another --output_dir"))
        refused(script, "--output_dir", work, found=("is not empty and holds no run", "name another --output_dir"))
        refused(
            script,
            "--output_dir",
            work,
            "--overwrite",
            found=("is not empty and holds no run", "another --output_dir"),
        )
    folder = work / "half"
    folder.mkdir()
    for text in ("{", "[]", "{}", '{"mine": 1}', b"\xff"):
        write(text, folder / "settings.json")
        for flags in ([], ["--overwrite"]):
            refused(
                "distill.py", "--output_dir", folder, *flags, found=("settings.json' holds no run's", "name another")
            )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights(refused, work):
    """F10."""
    (work / "locked").mkdir(mode=0o500)
    refused("distill.py", "--output_dir", work / "locked/out", found=("may not be written to", "change its rights"))


def test_a_run_begun_with_other_settings(refused, work):
    """F11, F12: an unfinished run is gone on with by its own command only; a finished one is kept."""
    folder = work / "begun"
    folder.mkdir()
    write('{"seed": 42, "alpha": 7.5}', folder / "settings.json")
    refused("distill.py", "--output_dir", folder, found=("holds a run with", "or --overwrite to start anew"))
    write("{}", folder / "results.json")
    refused("distill.py", "--output_dir", folder, found=("holds results already", "or pass --overwrite"))
    write("", work / "begun/model.safetensors")
    refused("train_teacher.py", "--output_dir", folder, found=("holds a teacher already", "or pass --overwrite"))


def test_files_of_results(refused, work):
    """F13 to F16: what `--output` of evaluate.py may not be."""
    refused("evaluate.py", "--output", work / "no/x.json", found=("there is no folder", "make it"))
    refused("evaluate.py", "--output", work / "mine.csv", found=("mine.csv' exists", "or pass --overwrite"))
    for flags in ([], ["--overwrite"]):
        refused("evaluate.py", "--output", work, *flags, found=("is a folder", "name a file in it"))
    refused("evaluate.py", "--output", "", found=("--output ''", "name a file in it"))
