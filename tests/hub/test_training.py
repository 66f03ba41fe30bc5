"""Publishing from the trainers, and the scripts from and to the Hub."""

import contextlib
import io
import json
import runpy
import sys
from unittest import mock

import pandas as pd
import pytest
from huggingface_hub import ModelCard

from tests.scripts_helper import SCRIPTS, generated_csv
from tests.undrawn import undrawn
from timedistill_hf import ForecastTrainer, ForecastTrainingArguments, TimeDistillTrainer, TimeDistillTrainingArguments
from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.run_folder import PUBLISHED, RunFolder
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.teachers import Teacher, get_family

from .loopback import WRITER
from .models import tiny_student, tiny_teacher
from .test_models import CODE, GIT


MODEL = {GIT, "README.md", "config.json", "model.safetensors", "preprocessor_config.json"}
PLOTS = {f"{name}.png" for name in ("forecast", "multi_scale", "multi_period", "accuracy")}  # one epoch has no losses
TINY = [
    "--context_length", "48", "--prediction_length", "16", "--disable_tqdm", "true", "--report_to", "none",
]  # fmt: skip
DISTILL = [
    "--recipe", "paper", "--hidden_size", "16", "--num_train_epochs", "1", "--controls", "none", *TINY,
]  # fmt: skip
TEACHER = ["--teacher_config", '{"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "ffn_dim": 16}']


# what runs in the client's process


def train(folder, kind, *, save_only=False, **kwargs):
    """Two steps with a checkpoint each, then published."""
    data = make_windows(synthetic_series(400, 3), 48, 16, SplitSpec(rows=(240, 80, 80)))
    steps = {"max_steps": 2, "eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 1, "save_steps": 1}
    quiet = {"report_to": "none", "disable_tqdm": True}
    kwargs = {"hub_license": "mit"} | kwargs
    if kind == "distil":
        args = TimeDistillTrainingArguments(str(folder), beta=0.0, **steps, **quiet, **kwargs)
        teacher = Teacher(tiny_teacher("itransformer"), get_family("itransformer"))
        trainer = TimeDistillTrainer(tiny_student(), args, teacher=teacher, **data.for_trainer())
    else:
        args = ForecastTrainingArguments(str(folder), **steps, **quiet, **kwargs)
        trainer = ForecastTrainer(tiny_student(), args, **data.for_trainer())
    trainer.train()
    if save_only:
        trainer.save_model()
    else:
        trainer.push_to_hub()


def script(name, *arguments):
    """Exit code, output and errors of a script."""
    path, out, err, code = str(SCRIPTS / name), io.StringIO(), io.StringIO(), 0
    argv = mock.patch.object(sys, "argv", [path, *map(str, arguments)])
    with undrawn(), argv, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as stop:
            code = stop.code
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("kind", ["distil", "forecast"])
def test_a_trainer_publishes_the_model_and_no_pickle(hub, client, tmp_path, kind):
    name = f"user/trained-{kind}"
    client.run(train, tmp_path, kind, push_to_hub=True, hub_model_id=name, hub_private_repo=True)
    assert hub.repositories["model", name].private
    assert hub.messages(name) == ["End of training"]
    assert set(hub.files(name)) == MODEL | CODE
    assert (tmp_path / "checkpoint-2").is_dir()
    assert hub.files(name)["model.safetensors"] == (tmp_path / "model.safetensors").read_bytes()


def test_a_trainer_publishes_when_it_saves_and_without_the_argument(hub, client, tmp_path):
    client.run(train, tmp_path / "saved", "forecast", save_only=True, push_to_hub=True)
    assert set(hub.files("user/saved")) == MODEL | CODE
    client.run(train, tmp_path / "pushed", "forecast", hub_model_id="user/pushed-later")
    assert set(hub.files("user/pushed-later")) == MODEL | CODE


def test_a_trainer_that_may_not_publish_says_so_before_it_trains(client, tmp_path):
    with pytest.raises(InputError, match="there is no token for the Hub"):
        client.run(train, tmp_path, "forecast", push_to_hub=True, hub_model_id="user/x", token=None)
    with pytest.raises(InputError, match="may not change the model 'stranger/x'"):
        client.run(train, tmp_path, "forecast", push_to_hub=True, hub_model_id="stranger/x")
    with pytest.raises(InputError, match="no licence is known of it"):
        client.run(train, tmp_path, "forecast", push_to_hub=True, hub_model_id="user/x", hub_license=None)
    assert not tmp_path.joinpath("checkpoint-1").exists()
    with pytest.raises(InputError, match="hub_strategy='every_save': expected 'end'"):
        ForecastTrainingArguments(str(tmp_path), hub_strategy="every_save")


def test_a_run_is_published_at_its_end_or_when_it_is_repeated(hub, client, tmp_path):
    data = generated_csv(tmp_path, 500)
    run = tmp_path / "run"
    command = ["distill.py", "--dataset", data, "--output_dir", run, *DISTILL, *TEACHER, "--teacher_epochs", "1"]
    push = ["--push_to_hub", "true", "--hub_model_id", "user/run-of-script", "--overwrite", "--hub_license", "mit"]
    code, _, errors = client.run(script, *command, *push, token=None)
    push += ["--hub_token", WRITER]
    assert code == 2
    assert errors.strip().splitlines()[-1].startswith("error: 'user/run-of-script' cannot be published: there is no")
    assert not run.exists()

    with hub.cutting("POST .*/commit/main"):
        code, _, errors = client.run(script, *command, *push, token=None)
    assert code == 2
    assert "is finished: the same command again only publishes it" in errors.splitlines()[-1]
    assert hub.messages("user/run-of-script") == []
    before = (run / "results.json").stat().st_mtime_ns

    code, printed, errors = client.run(script, *command, *push, token=None)
    assert code == 0, errors
    assert (run / "results.json").stat().st_mtime_ns == before, "nothing was trained again"
    assert "MASE" in printed
    assert len(hub.messages("user/run-of-script")) == 1
    files = hub.files("user/run-of-script")
    assert set(files) == MODEL | CODE | PLOTS | {"results.json"}
    card = ModelCard(files["README.md"].decode())
    assert 'repo = "user/run-of-script"' in card.text
    assert str(run) not in card.text
    assert card.data.eval_results
    published = json.loads((run / PUBLISHED).read_text())
    assert published["repo_id"] == "user/run-of-script"
    assert published["commit"] == hub.repositories["model", "user/run-of-script"].find("main").sha
    assert not [path for path in run.rglob("*") if path.is_file() and WRITER.encode() in path.read_bytes()]
    assert not [path for path, content in files.items() if WRITER.encode() in content]
    assert WRITER not in printed + errors

    code, _, errors = client.run(script, *command)  # without --push_to_hub, as ever
    assert code == 2
    assert "holds results already" in errors


def test_scripts_take_models_and_data_from_the_hub(hub, client, tmp_path):
    data = generated_csv(tmp_path, 500)
    teacher = tmp_path / "teacher"
    train = [
        "--dataset", data, "--output_dir", teacher, "--teacher", "itransformer", "--max_steps", "2", *TINY, *TEACHER,
    ]  # fmt: skip
    push = ["--push_to_hub", "true", "--hub_model_id", "teach"]
    code, _, errors = client.run(script, "train_teacher.py", *train, *push)
    assert code == 2
    assert "no licence is known of it" in errors
    assert not teacher.exists(), "said before training"
    code, _, errors = client.run(script, "train_teacher.py", *train, *push, "--hub_license", "cc-by-nc-4.0")
    assert code == 0, errors
    assert set(hub.files("user/teach")) == MODEL | {
        "configuration_forecaster.py", "configuration_itransformer.py", "modeling_forecaster.py",
        "modeling_itransformer.py", "results.json",
    }  # fmt: skip
    hosted = ["--repo_id", "user/hosted", "--license", "cc0-1.0"]
    code, printed, errors = client.run(script, "push_dataset.py", "--dataset", data, *hosted)
    assert code == 0, errors
    assert printed.strip().endswith("/datasets/user/hosted")

    run = tmp_path / "run"
    code, _, errors = client.run(
        script, "distill.py", "--dataset", "user/hosted", "--teacher", "user/teach", "--output_dir", run, *DISTILL
    )
    assert code == 0, errors
    about = json.loads((run / "results.json").read_text())["teacher"]
    assert about["source"] == ["user/teach"]
    assert about["licences"] == [{"license": "cc-by-nc-4.0"}]
    assert ModelCard((run / "README.md").read_text()).data.license == "cc-by-nc-4.0", "the teacher's, not assumed"
    first = hub.repositories["model", "user/teach"].find("main").sha
    code, _, errors = client.run(
        script, "train_teacher.py", *train, "--seed", "7", "--overwrite", "true", "--push_to_hub", "true",
        "--hub_model_id", "teach", "--hub_license", "mit",
    )  # fmt: skip
    assert code == 0, errors
    pinned = ["distill.py", "--dataset", "user/hosted", "--teacher", "user/teach", *DISTILL]
    scored = []
    for number, revision in enumerate(("main", first)):
        here = tmp_path / f"pinned{number}"
        code, _, errors = client.run(script, *pinned, "--output_dir", here, "--teacher_revision", revision)
        assert code == 0, errors
        scored.append(json.loads((here / "results.json").read_text())["models"]["teacher"]["mse"])
    own = pytest.approx(json.loads((run / "results.json").read_text())["models"]["teacher"]["mse"], rel=1e-6)
    assert scored[1] == own != scored[0]
    code, printed, errors = client.run(script, "push_model.py", "--folder", run, "--repo_id", "scripted", "--private")
    assert code == 0, errors
    assert printed.strip().endswith("/user/scripted")
    assert hub.repositories["model", "user/scripted"].private

    scores = tmp_path / "scores.json"
    code, _, errors = client.run(
        script, "evaluate.py", "--model", "user/scripted", "--dataset", "user/hosted", "--output", scores
    )
    assert code == 0, errors
    expected = json.loads((run / "results.json").read_text())["models"]["student"]["mse"]
    assert json.loads(scores.read_text())["models"]["student"]["mse"] == pytest.approx(expected, rel=1e-5)
    output = tmp_path / "forecast.csv"
    code, _, errors = client.run(
        script, "forecast.py", "--model", "user/scripted", "--revision", "main", "--input", data, "--output", output
    )
    assert code == 0, errors
    assert len(pd.read_csv(output)) == 16


def test_only_an_unpublished_run_is_published_instead_of_replaced(tmp_path):
    folder = RunFolder(tmp_path)
    settings = {"seed": 1}
    folder.start(settings, overwrite=False)
    assert not folder.is_to_be_published(settings, overwrite=False)
    (tmp_path / "results.json").write_text("{}")
    assert folder.is_to_be_published(settings | {"push_to_hub": True, "hub_model_id": "a/b"}, overwrite=True)
    assert not folder.is_to_be_published({"seed": 2}, overwrite=False)
    (tmp_path / PUBLISHED).write_text("{}")
    assert folder.is_to_be_published(settings, overwrite=False)
    assert not folder.is_to_be_published(settings, overwrite=True)
