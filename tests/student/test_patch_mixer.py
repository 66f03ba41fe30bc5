"""The patch mixer against plain loops over patches and channels, alone and as the core of a residual form."""

import numpy as np
import pytest
import torch

from tests.student.models import tiny
from timedistill_hf import TimeDistillConfig
from timedistill_hf.student import combine, fold


LENGTH, PATCH, PATCHES = 29, 5, 5


def layer_norm(vector, weight, bias):
    return (vector - vector.mean()) / np.sqrt(vector.var() + 1e-5) * weight + bias


def mixed(series, weights, prefix=""):
    """Forecast and feature of one centred series, patch by patch."""
    get = lambda name: weights[prefix + name]  # noqa: E731
    recent = series[LENGTH - PATCH * PATCHES :]
    state = np.stack(
        [
            get("embedding.weight") @ recent[patch * PATCH : (patch + 1) * PATCH] + get("embedding.bias")
            for patch in range(PATCHES)
        ]
    )
    state = state + get("position")
    for layer in range(2):
        inside = lambda name, layer=layer: get(f"layers.{layer}.{name}")  # noqa: E731
        normed = np.stack([layer_norm(row, inside("patch_norm.weight"), inside("patch_norm.bias")) for row in state])
        for unit in range(state.shape[1]):
            hidden = np.maximum(inside("patch_in.weight") @ normed[:, unit] + inside("patch_in.bias"), 0)
            state[:, unit] += inside("patch_out.weight") @ hidden + inside("patch_out.bias")
        for patch in range(PATCHES):
            normed = layer_norm(state[patch], inside("content_norm.weight"), inside("content_norm.bias"))
            hidden = np.maximum(inside("content_in.weight") @ normed + inside("content_in.bias"), 0)
            state[patch] += inside("content_out.weight") @ hidden + inside("content_out.bias")
    feature = state.reshape(-1)
    return get("decoder.weight") @ feature + get("decoder.bias"), feature


@pytest.mark.parametrize("architecture", ["patch_mixer", "residual"])
def test_agrees_with_plain_loops(architecture):
    model = tiny(architecture, core="patch_mixer").double()
    weights = {name: tensor.numpy() for name, tensor in model.backbone.state_dict().items()}
    values = torch.randn(2, LENGTH, 3, dtype=torch.float64)
    with torch.no_grad():
        output = model(values)
    prefix = "core." if architecture == "residual" else ""
    for window in range(2):
        for channel in range(3):
            series = values[window, :, channel].numpy()
            level = series.mean()
            forecast, feature = mixed(series - level, weights, prefix)
            if architecture == "residual":
                forecast = forecast + weights["projection.weight"] @ (series - level) + weights["projection.bias"]
            np.testing.assert_allclose(output.prediction_outputs[window, :, channel], forecast + level, rtol=1e-6)
            np.testing.assert_allclose(output.feature[window, channel], feature, rtol=1e-6)


def test_untrained_residual_forecasts_the_level_and_both_parts_learn():
    from timedistill_hf import TimeDistillForPrediction

    config = tiny("residual", core="patch_mixer").config
    model = TimeDistillForPrediction(config)
    values = torch.randn(4, LENGTH, 2)
    output = model(values, future_values=torch.randn(4, 10, 2))
    torch.testing.assert_close(output.prediction_outputs, values.mean(1, keepdim=True).expand(4, 10, 2))
    output.loss.backward()
    assert model.backbone.projection.weight.grad.abs().max() > 0
    assert model.backbone.core.decoder.weight.grad.abs().max() > 0


def test_feature_size_is_what_the_forward_gives():
    for settings in ({"architecture": "patch_mixer"}, {"architecture": "residual", "core": "patch_mixer"}):
        model = tiny(**settings)
        assert model(torch.randn(1, LENGTH, 2)).feature.shape[-1] == model.config.feature_size == 8 * PATCHES


def test_patches_longer_than_the_window_are_refused():
    with pytest.raises(Exception, match="patch_length=30: expected at most the 29 steps"):
        tiny("residual", core="patch_mixer", patch_length=30)
    tiny("residual", patch_length=30)  # an MLP has no patches


@pytest.mark.parametrize("normalization", ["none", "mean", "last", "revin"])
@pytest.mark.parametrize("mlp", ["mean", "last", "revin", None])
def test_folding_with_linear_and_mlp_members_changes_nothing(normalization, mlp):
    students = [
        tiny("linear"),
        tiny("periodic"),
        tiny("residual", core="patch_mixer", normalization=normalization),
    ]
    students += [tiny("residual", normalization=mlp)] if mlp else []
    weights = [0.1, 0.2, 0.3, 0.4][: len(students)]
    combination = combine(students, weights)
    values = torch.randn(3, LENGTH, 2)
    with torch.no_grad():
        expected = sum(
            weight * student(values).prediction_outputs for weight, student in zip(weights, students, strict=True)
        )
        torch.testing.assert_close(combination(values).prediction_outputs, expected, rtol=1e-5, atol=1e-5)
        folded = fold(combination)
        torch.testing.assert_close(folded(values).prediction_outputs, expected, rtol=1e-5, atol=1e-4)
    assert folded.num_parameters() < combination.num_parameters()


def test_a_patch_mixer_gives_its_linear_path_to_the_merged_map():
    students = [tiny("linear"), tiny("residual", core="patch_mixer", normalization="last")]
    folded = fold(combine(students, [0.5, 0.5]))
    assert sorted(member["architecture"] for member in folded.config.members) == ["linear", "patch_mixer"]
    alone = tiny("patch_mixer").num_parameters()
    assert folded.num_parameters() == LENGTH * 10 + 10 + alone


class TestCombine:
    def test_members_keep_their_own_settings(self):
        first, second = tiny("linear", loss="mae"), tiny("residual", normalization="last", dropout=0.25)
        members = combine([first, second], [0.25, 0.75]).config.member_configs()
        assert [member.architecture for member in members] == ["linear", "residual"]
        assert (members[0].loss, members[1].normalization, members[1].dropout) == ("mae", "last", 0.25)

    def test_what_fine_tuning_minimises_does_not_hang_on_the_order(self):
        students = [tiny("linear", loss="mse"), tiny("residual", loss="mae", frequency_weight=0.3)]
        loss = {"loss": "mae", "frequency_weight": 0.2}
        for first, second in (students, students[::-1]):
            for student in (
                combine([first, second], [0.5, 0.5], loss=loss),
                fold(combine([first, second], [0.5, 0.5], loss=loss)),
            ):
                assert {name: getattr(student.config, name) for name in loss} == loss

    def test_inputs_stay_as_they_are(self):
        first, second = tiny("linear"), tiny("linear")
        before = first.backbone.projection.weight.clone()
        combination = combine([first, second], [0.5, 0.5])
        with torch.no_grad():
            combination.backbone.members[0].backbone.projection.weight.zero_()
        assert torch.equal(first.backbone.projection.weight, before)

    def test_what_does_not_go_together_is_refused(self):
        with pytest.raises(ValueError, match="2 students and 1 weights"):
            combine([tiny("linear"), tiny("linear")], [1.0])
        with pytest.raises(ValueError, match="expected the same"):
            combine([tiny("linear"), tiny("linear", prediction_length=9)], [0.5, 0.5])
        with pytest.raises(ValueError, match="cannot be a member"):
            combine([combine([tiny("linear")], [1.0])], [1.0])

    def test_survives_saving(self, tmp_path):
        combination = combine([tiny("linear"), tiny("residual", core="patch_mixer")], [0.3, 0.7])
        combination.save_pretrained(tmp_path)
        again = type(combination).from_pretrained(tmp_path)
        assert isinstance(again.config, TimeDistillConfig)
        values = torch.randn(2, LENGTH, 1)
        assert torch.equal(again(values).prediction_outputs, combination(values).prediction_outputs)
