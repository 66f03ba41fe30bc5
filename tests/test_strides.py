"""No layer is given a whole window transposed: with frozen weights torch takes many times as long for that product."""

import pytest
import torch
from torch import nn

from tests.conftest import tiny_teacher
from tests.student.models import tiny
from timedistill_hf import fuse


FORMS = ("two_branch", "mlp", "linear", "cycle", "residual")
FAMILIES = ("itransformer", "modern_tcn", "timesnet", "time_mixer")


def check(model, length, windows):
    seen = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.in_features == length:
            module.register_forward_pre_hook(lambda _, given, name=name: seen.append((name, given[0].is_contiguous())))
    with torch.no_grad():
        model(past_values=windows)
    assert all(is_contiguous for _, is_contiguous in seen), seen
    return seen


@pytest.mark.parametrize("normalization", ["none", "mean", "last", "revin"])
@pytest.mark.parametrize("form", FORMS)
def test_students(form, normalization):
    student = tiny(form, normalization=normalization)
    combined = tiny("combination", members=[{"architecture": form, "normalization": normalization}])
    for model in (student, combined):
        assert check(model, 29, torch.randn(4, 29, 3))
        check(fuse(model), 29, torch.randn(4, 29, 3))


@pytest.mark.parametrize("family", FAMILIES)
def test_teachers(family):
    teacher = tiny_teacher(family).eval()
    length = teacher.config.context_length
    seen = check(teacher, length, torch.randn(4, length, teacher.config.num_input_channels))
    assert seen or family == "modern_tcn"
