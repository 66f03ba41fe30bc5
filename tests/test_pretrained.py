"""Configurations of someone else's are refused before anything of their size is made."""

import json

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn

from tests.conftest import tiny_patchtst
from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction, load_teacher
from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.pretrained import check_size
from timedistill_hf.teachers.loading import load_model


MIXER = {"architecture": "patch_mixer", "patch_length": 8}
LINEAR = {"architecture": "linear"}
COMBINATION = {"architecture": "combination"}
HUGE = [
    {"context_length": 10**8},
    {"context_length": 10**30},
    {"context_length": 99_999, "hidden_size": 600},
    {"context_length": 90_000, "hidden_size": 90_000},
    {"prediction_length": 10**8},
    {"moving_average": 10**8 + 1},
    {"num_input_channels": 10**8},
    MIXER | {"num_hidden_layers": 3000},
    MIXER | {"num_hidden_layers": 250},
    COMBINATION | {"members": [LINEAR] * 20_000},
    COMBINATION | {"members": [LINEAR] * 250},
    COMBINATION | {"members": [MIXER | {"num_hidden_layers": 200}] * 200},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    config = TimeDistillConfig(context_length=48, prediction_length=16, num_input_channels=3, hidden_size=16)
    TimeDistillForPrediction(config).save_pretrained(folder)
    return folder


def spoil(folder, changes):
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | changes))


@pytest.mark.parametrize("changes", HUGE, ids=lambda changes: str(changes)[:50])
def test_a_size_that_the_weights_do_not_have_is_refused_before_it_is_allocated(folder, changes, tmp_path, monkeypatch):
    good = (folder / "config.json").read_text()
    allocated = []
    monkeypatch.setattr(TimeDistillForPrediction, "_init_weights", lambda *_: allocated.append(1))
    try:
        spoil(folder, changes)
        with pytest.raises(InputError):
            load_model(folder)
    finally:
        (folder / "config.json").write_text(good)
    assert not allocated


@pytest.mark.parametrize(
    "changes",
    [{"num_hidden_layers": 3000}, {"d_model": 100_000}, {"context_length": 10**8}, {"ffn_dim": 10**7}],
    ids=str,
)
def test_so_is_a_teacher(changes, tmp_path):
    tiny_patchtst().save_pretrained(tmp_path)
    spoil(tmp_path, changes)
    with pytest.raises(InputError):
        load_teacher(tmp_path)


@pytest.mark.parametrize("case", [0, 1, 3, 4, 5, 6, 7, 9, 11])
def test_the_student_by_itself_refuses_what_no_student_has(folder, case):
    """Also where it was loaded without this package's reading."""
    content = json.loads((folder / "config.json").read_text())
    with pytest.raises(StrictDataclassError, match=r"expected|map of more"):
        TimeDistillConfig.from_dict(content | HUGE[case])


def test_a_model_of_the_size_of_its_file_passes_and_a_larger_one_does_not():
    shapes = {"0.weight": [1000, 2000], "0.bias": [1000]}
    check_size(lambda: nn.Sequential(nn.Linear(2000, 1000)), shapes)
    with pytest.raises(InputError, match="values, the file holds 2,001,000"):
        check_size(lambda: nn.Linear(20_000, 1000), shapes)
    with pytest.raises(InputError, match="modules, the file holds 2 tensors"):
        check_size(lambda: nn.Sequential(*(nn.ReLU() for _ in range(1000))), shapes)
    assert nn.Linear(20_000, 1000).weight.device == torch.device("cpu"), "nothing is left behind"
