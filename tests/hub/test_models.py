"""Students and teachers through the Hub: pushed, published, loaded, found again at a revision and offline."""

import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, snapshot_download

from tests.rounding import frames_close
from timedistill_hf import Forecaster, TimeDistillForPrediction, TimeDistillProcessor, load_teacher
from timedistill_hf._utils.errors import InputError
from timedistill_hf.hub import publish
from timedistill_hf.teachers.loading import load_processor

from .loopback import READER
from .models import COLUMNS, LENGTHS, forecast_of, history, processor, save, tiny_student, tiny_teacher, windows


_MODULES = "backbones configuration folding fusing inputs losses modeling normalization pipeline serving"
CODE = {f"{name}_timedistill.py" for name in _MODULES.split()}
GIT = ".gitattributes"

WITHOUT_PACKAGE = """
import importlib.abc, sys, torch
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "timedistill_hf":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
from transformers import AutoModelForTimeSeriesPrediction
x = torch.load("x.pt", weights_only=True)
outputs = {}
for name in sys.argv[1:]:
    model = AutoModelForTimeSeriesPrediction.from_pretrained(name, trust_remote_code=True).eval()
    with torch.no_grad():
        outputs[name] = model(past_values=x).prediction_outputs
torch.save(outputs, "y.pt")
from transformers import pipeline
pipe = pipeline("time-series-forecasting", model="user/remote-student", trust_remote_code=True)
torch.save(torch.as_tensor(pipe(torch.load("raw.pt", weights_only=True))["prediction_outputs"]), "served.pt")
"""


# what runs in the client's process


def push_student(name):
    student = tiny_student()
    student.push_to_hub(name)
    processor().push_to_hub(name)
    loaded = TimeDistillForPrediction.from_pretrained(name).eval()
    return torch.equal(forecast_of(loaded), forecast_of(student))


def publish_student(folder, name, seed=0, **kwargs):
    """The commit."""
    return publish(save(tiny_student(seed), folder), name, license="mit", **kwargs).oid


def forecast(name, **kwargs):
    return Forecaster.from_pretrained(name, **kwargs).predict(history())


def forecast_with(token, name):
    """With the token passed, and none set."""
    return forecast(name, token=token)


def forecast_while_published(folder, name):
    """Another student, with another scaler, is published when the weights have been read and the processor not yet."""

    def load(*args, **kwargs):
        other = save(tiny_student(9), folder)
        TimeDistillProcessor(COLUMNS, [0.0] * 3, [9.0] * 3, **LENGTHS).save_pretrained(other)
        publish(other, name, license="mit")
        return load_processor(*args, **kwargs)

    with mock.patch("timedistill_hf.forecasting.forecaster.load_processor", load):
        return forecast(name)


def expected_forecast(seed=0):
    return Forecaster(tiny_student(seed), processor()).predict(history())


def publish_teachers(folder, families):
    """By family, whether the teacher that was loaded forecasts as the one that was published, and its processor."""
    same = {}
    for family in families:
        model = tiny_teacher(family)
        publish(save(model, folder / family), f"user/{family}", license="mit")
        loaded = load_teacher(f"user/{family}")
        forecaster = Forecaster.from_pretrained(f"user/{family}")
        same[family] = (
            loaded.family.model_type == family
            and torch.allclose(forecast_of(loaded), forecast_of(model), atol=1e-5)  # attention may be another kernel
            and forecaster.processor.columns == processor().columns
        )
    return same


def tag(name, tag, revision):
    HfApi().create_tag(name, tag=tag, revision=revision)


def snapshot(name, folder):
    return snapshot_download(name, local_dir=folder)


def test_push_to_hub_and_from_pretrained(hub, client):
    assert client.run(push_student, "user/pushed")
    assert {GIT, "README.md", "config.json", "model.safetensors", "preprocessor_config.json"} | CODE == set(
        hub.files("user/pushed")
    )
    frames_close(client.run(forecast, "user/pushed", token=None), expected_forecast())


def test_what_is_published_is_the_model_and_nothing_else(hub, client, tmp_path):
    folder = tmp_path / "run"
    for name in ("checkpoint-3", "teacher", "controls", "candidates"):
        save(tiny_student(7), folder / name)
        (folder / name / "optimizer.pt").write_bytes(b"pickle")
    for name in ("training_args.bin", "rng_state.pth", "settings.json", "history.json", "mine.py", ".lock"):
        (folder / name).write_text("{}")
    (folder / "results.json").write_text('{"settings": {"output_dir": "runs/etth1"}}')
    (folder / "forecast.png").write_bytes(b"png")
    card = 'repo = {}\nForecaster.from_pretrained({})\n--model {} --teacher etth12\nof etth1, "etth1"\n'
    (folder / "README.md").write_text("---\nlicense: mit\n---\n" + card.format('"etth1"', '"runs/etth1"', folder))
    client.run(publish_student, folder, "run", private=True, commit_message="The student")
    assert hub.messages("user/run") == ["The student"]
    assert hub.repositories["model", "user/run"].private
    files = hub.files("user/run")
    named = {"README.md", "config.json", "model.safetensors", "preprocessor_config.json"}
    assert set(files) == {GIT, "results.json", "forecast.png"} | named | CODE
    assert files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    published = card.format('"user/run"', '"user/run"', "user/run")
    assert files["README.md"].decode().split("---\n")[2] == published
    assert 'from_pretrained("runs/etth1")' in (folder / "README.md").read_text()
    client.run(publish_student, folder, "user/run")
    assert len(hub.messages("user/run")) == 1, "nothing has changed, so nothing is committed"


def test_a_folder_without_a_model_is_not_published(hub, client, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="holds no model to publish"):
        client.run(publish, tmp_path, "user/none")
    assert ("model", "user/none") not in hub.repositories


def test_a_configuration_cannot_name_files_elsewhere(hub, client, tmp_path):
    folder = save(tiny_student(), tmp_path / "model")
    (tmp_path / "secret.py").write_text("KEY = 1")
    (folder / "sub").mkdir()
    (folder / "sub/inner.py").write_text("KEY = 2")
    config = (folder / "config.json").read_text()
    for path in ("../secret", f"{tmp_path}/secret", "sub/inner", "other/repo--modeling"):
        (folder / "config.json").write_text(config.replace('"configuration_timedistill.', f'"{path}.'))
        client.run(publish, folder, "user/elsewhere", license="mit")
    assert {path for path in hub.files("user/elsewhere") if path.endswith(".py")} <= CODE


@pytest.mark.parametrize("model_type", ["foreign", "timedistill"])
def test_code_of_a_repository_is_never_run(hub, client, tmp_path, model_type):
    """Whether its configuration is of a kind that only that code knows, or of one that the package has itself."""
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()\nfrom transformers import PreTrainedConfig\n"
    code += f"class Config(PreTrainedConfig):\n    model_type = {model_type!r}\n"
    config = {"model_type": model_type, "auto_map": {"AutoConfig": "foreign.Config"}}
    files = {"config.json": json.dumps(config).encode(), "foreign.py": code.encode()}
    hub.create(f"user/code-{model_type}").add("main", "code", files)
    with pytest.raises(InputError):
        client.run(forecast, f"user/code-{model_type}")
    with pytest.raises(InputError):
        client.run(load_teacher, f"user/code-{model_type}")
    assert not ran.exists()


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub, client, tmp_path):
    first = client.run(publish_student, tmp_path / "a", "user/versions", seed=1)
    client.run(tag, "user/versions", "v1", first)
    client.run(publish_student, tmp_path / "b", "user/versions", seed=2)
    client.run(publish_student, tmp_path / "c", "user/versions", seed=3, revision="trial")
    expected = {None: 2, "main": 2, "v1": 1, first: 1, "trial": 3}
    for revision, seed in expected.items():
        frames_close(client.run(forecast, "user/versions", revision=revision), expected_forecast(seed))
    with pytest.raises(InputError, match=r"'user/versions' has no revision 'v9': name a branch, a tag or a commit"):
        client.run(forecast, "user/versions", revision="v9")
    folder = client.run(snapshot, "user/versions", tmp_path / "snapshot")
    there = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
    assert there == hub.files("user/versions")


@pytest.mark.parametrize(
    ("name", "token", "message"),
    [
        (
            "user/hidden",
            None,
            "no model 'user/hidden' to be read without a token: check the name; if private, log in",
        ),
        ("user/hidden", "hf_stranger", "no model 'user/hidden' to be read with this token"),
        ("user/hidden", "hf_wrong", "does not know the token that is set: log in anew"),
        ("user/missing", READER, "no model 'user/missing' to be read with this token: check the name"),
        ("user/missing", None, "no model 'user/missing' to be read without a token"),
        ("no name/x", None, "'no name/x' is no name of a repository: expected user/name"),
    ],
)
def test_what_may_not_be_read_is_named_with_the_remedy(hub, client, tmp_path, name, token, message):
    if ("model", "user/hidden") not in hub.repositories:
        client.run(publish_student, tmp_path, "user/hidden", private=True)
    with pytest.raises(InputError) as caught:
        client.run(forecast, name, token=token)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hf_wrong" not in str(caught.value)


def test_a_private_model_is_read_with_a_token(client, tmp_path):
    client.run(publish_student, tmp_path, "user/mine", private=True)
    frames_close(client.run(forecast, "user/mine", token=READER), expected_forecast())
    frames_close(client.run(forecast_with, READER, "user/mine", token=None), expected_forecast())


@pytest.mark.parametrize(
    ("token", "name", "message"),
    [
        (None, "user/new", "there is no token for the Hub; log in"),
        ("hf_wrong", "user/new", "does not know the token that is set"),
        (READER, "user/new", "may not change the model 'user/new'"),
        ("hf_stranger", "user/taken", "may not change the model 'user/taken'"),
        ("hf_stranger", "user/new", "may not change the model 'user/new'"),
    ],
)
def test_what_may_not_be_published_is_said_first(hub, client, tmp_path, token, name, message):
    hub.create("user/taken")
    with pytest.raises(InputError) as caught:
        client.run(publish_student, tmp_path, name, token=token)
    assert message in str(caught.value)
    assert "hf_" not in str(caught.value).replace("HF_TOKEN", "")
    assert not [request for request in hub.requests if request.startswith("POST") and f"{name}/commit" in request]


@pytest.mark.parametrize("request_line", ["PUT /lfs/.*", "POST .*/preupload/main", "POST .*/commit/main"])
def test_an_upload_that_breaks_publishes_nothing(hub, client, tmp_path, request_line):
    name = f"user/broken-{len(request_line)}"
    client.run(publish_student, tmp_path / "old", name, seed=1)
    with hub.cutting(request_line), pytest.raises(InputError, match=r"the Hub failed .*nothing was published"):
        client.run(publish_student, tmp_path / "new", name, seed=len(request_line))
    assert len(hub.messages(name)) == 1
    frames_close(client.run(forecast, name), expected_forecast(1))
    client.run(publish_student, tmp_path / "new", name, seed=len(request_line))
    assert len(hub.messages(name)) == 2
    frames_close(client.run(forecast, name), expected_forecast(len(request_line)))


def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub, client, tmp_path):
    client.run(publish_student, tmp_path, "user/lost", seed=1)
    with hub.cutting("POST .*/commit/main", "answering"), pytest.raises(InputError, match="connection to the Hub"):
        client.run(publish_student, tmp_path, "user/lost", seed=2)
    client.run(publish_student, tmp_path, "user/lost", seed=2)
    assert len(hub.messages("user/lost")) == 2
    frames_close(client.run(forecast, "user/lost"), expected_forecast(2))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_a_download_that_breaks_is_not_believed(hub, hub_home, client, tmp_path, file):
    name = f"user/cut-{file.split('.')[0]}"
    client.run(publish_student, tmp_path, name)
    with hub.cutting(f"GET .*/resolve/.*/{file}"), pytest.raises(InputError) as caught:
        client.run(forecast, name)
    assert f"the connection to the Hub failed for the model '{name}'" in str(caught.value)
    cached = hub_home / "hub" / f"models--{name.replace('/', '--')}"
    whole = set(hub.files(name).values())
    assert all(path.read_bytes() in whole for path in (cached / "blobs").glob("*"))
    frames_close(client.run(forecast, name), expected_forecast())


def test_teachers_travel_with_their_processor(hub, client, tmp_path):
    families = ("itransformer", "modern_tcn", "patchtst", "informer")
    assert client.run(publish_teachers, tmp_path, families) == dict.fromkeys(families, True)
    code = {family: {path for path in hub.files(f"user/{family}") if path.endswith(".py")} for family in families}
    shared = {"configuration_forecaster.py", "modeling_forecaster.py"}
    assert code["itransformer"] == {"configuration_itransformer.py", "modeling_itransformer.py"} | shared
    assert code["modern_tcn"] == {"configuration_modern_tcn.py", "modeling_modern_tcn.py"} | shared
    assert code["patchtst"] == code["informer"] == set()
    assert b'from_pretrained("user/patchtst")' in hub.files("user/patchtst")["README.md"]


def test_remote_code_serves_without_the_package(client, tmp_path):
    """A fresh process that has transformers and the Hub only: student, iTransformer and ModernTCN."""
    client.run(publish_student, tmp_path / "student", "user/remote-student")
    models = {"user/remote-student": tiny_student()}
    for family in ("itransformer", "modern_tcn"):
        models[f"user/remote-{family}"] = tiny_teacher(family)
        client.run(
            publish, save(models[f"user/remote-{family}"], tmp_path / family), f"user/remote-{family}", license="mit"
        )
    torch.save(windows(), tmp_path / "x.pt")
    raw = history()[COLUMNS].to_numpy(copy=True)
    torch.save(torch.from_numpy(raw), tmp_path / "raw.pt")
    # isolated (-I): neither the working directory nor PYTHONPATH can lend the package
    command = [sys.executable, "-I", "-c", WITHOUT_PACKAGE, *models]
    done = subprocess.run(command, cwd=tmp_path, env=client.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    outputs = torch.load(tmp_path / "y.pt", weights_only=True)
    for name, model in models.items():
        torch.testing.assert_close(outputs[name], forecast_of(model), rtol=1e-5, atol=1e-6)
    served = torch.load(tmp_path / "served.pt", weights_only=True)  # by the pipeline, from and to the data's units
    expected = torch.from_numpy(Forecaster(models["user/remote-student"], processor()).predict(raw))
    torch.testing.assert_close(served, expected.to(served.dtype), rtol=1e-4, atol=1e-4)


def test_weights_and_processor_are_of_one_commit(hub, client, tmp_path):
    client.run(publish_student, tmp_path / "first", "user/moving")
    frames_close(client.run(forecast_while_published, tmp_path / "second", "user/moving"), expected_forecast())
    assert len(hub.messages("user/moving")) == 2


def test_offline_after_a_first_load(hub, client, offline_client, tmp_path):
    client.run(publish_student, tmp_path / "a", "user/cached")
    client.run(publish_student, tmp_path / "b", "user/unseen")
    online = client.run(forecast, "user/cached")
    before = len(hub.requests)
    frames_close(offline_client.run(forecast, "user/cached"), online)
    with pytest.raises(InputError, match="'user/unseen' is not in the cache and the Hub may not be asked"):
        offline_client.run(forecast, "user/unseen")
    with pytest.raises(InputError, match="cannot be published: the Hub may not be asked"):
        offline_client.run(publish_student, tmp_path / "c", "user/cached")
    assert len(hub.requests) == before
    assert np.isfinite(online[["load", "price", "wind"]].to_numpy()).all()
