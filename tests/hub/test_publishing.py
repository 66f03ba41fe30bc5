"""What a folder gives to be published: nothing that lies elsewhere, and one line where it cannot be read."""

import json

import pytest

from tests.conftest import tiny_teacher
from timedistill_hf._utils.errors import InputError
from timedistill_hf.hub.publishing import files_to_publish

from .models import save, tiny_student


@pytest.mark.parametrize(
    "name", ["secret.png", "results.json", "README.md", "modeling_timedistill.py", "other.safetensors", "config.json"]
)
@pytest.mark.parametrize("planted", ["file", "folder"])
def test_a_link_out_of_the_folder_is_never_followed(tmp_path, name, planted):
    folder = save(tiny_student(), tmp_path / "run")
    outside = tmp_path / "outside" / name
    outside.parent.mkdir()
    outside.write_text((folder / name).read_text() if (folder / name).is_file() else "private")
    (folder / name).unlink(missing_ok=True)
    if planted == "folder":  # the link is further up
        (folder / "linked").symlink_to(outside.parent)
        (folder / name).symlink_to(folder / "linked" / name)
    else:
        (folder / name).symlink_to(outside)
    with pytest.raises(InputError, match="is a link that leads out of the folder: nothing was published"):
        files_to_publish(folder)


def test_a_link_within_the_folder_and_a_folder_that_is_a_link_are_published(tmp_path):
    folder = save(tiny_student(), tmp_path / "run")
    (folder / "one.png").write_bytes(b"png")
    (folder / "two.png").symlink_to("one.png")
    (tmp_path / "latest").symlink_to(folder)
    assert {"one.png", "two.png"} < {path.name for path in files_to_publish(tmp_path / "latest")}


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize(
    "content",
    [
        "{", "[]", "null", "3", "[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, b"\xff\xfe", "9" * 6000,
        {"auto_map": 3}, {"auto_map": ["x"]}, {"auto_map": {"AutoConfig": 3}}, {"auto_map": {"AutoConfig": [["x"]]}},
        {"auto_map": {"AutoConfig": "a" * 5000}}, {"auto_map": {"AutoConfig": ["a" * 5000 + ".X", None]}},
        {"auto_map": {"AutoConfig": "x\x00.X"}}, {"custom_pipelines": {"task": {"impl": "a" * 5000}}},
        {"custom_pipelines": "x"}, {"custom_pipelines": {"task": "x"}}, {"custom_pipelines": {"task": {"impl": 3}}},
    ],
    ids=lambda content: str(content)[:40],
)  # fmt: skip
def test_a_malformed_configuration_is_one_line(tmp_path, file, content):
    folder = save(tiny_student(), tmp_path / "run")
    if isinstance(content, dict):
        content = json.dumps(json.loads((folder / file).read_text()) | content)
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match="holds no model to publish") as caught:
        files_to_publish(folder)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("family", ["itransformer", "modern_tcn", "timesnet", "time_mixer"])
def test_a_folder_without_code_is_published_with_it(tmp_path, family):
    """Also of a teacher that transformers does not know: its modules and those that they import."""
    tiny_teacher(family).model.save_pretrained(tmp_path)
    for path in tmp_path.glob("*.py"):
        path.unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    named = {reference.split(".")[0] for reference in config["auto_map"].values()}
    found = {path.name for path in files_to_publish(tmp_path)}
    assert {f"{name}.py" for name in named} <= found
    assert "modeling_forecaster.py" in found
