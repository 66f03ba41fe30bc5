"""What every teacher family promises."""

import pytest
import torch

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_patchtst, tiny_teacher
from timedistill_hf.data.windows import split_targets
from timedistill_hf.errors import InputError
from timedistill_hf.teachers import (
    FAMILIES,
    Teacher,
    get_family,
    load_teacher,
    teacher_family_name,
    trainable_families,
)
from timedistill_hf.teachers.quality import teacher_against_naive, warn_if_worse_than_naive
from timedistill_hf.teachers.signal import ForecastOnly
from timedistill_hf.training.arguments import ForecastTrainingArguments


every_family = pytest.mark.parametrize("name", sorted(FAMILIES))


@every_family
def test_signal_shapes_are_right_and_deterministic(name):
    teacher = tiny_teacher(name).train()
    x = torch.randn(4, CONTEXT, CHANNELS)
    signal = teacher(past_values=x)
    assert signal.prediction_outputs.shape == (4, HORIZON, CHANNELS)
    assert signal.feature.shape[:2] == (4, CHANNELS)
    again = teacher(past_values=x)
    assert torch.equal(signal.prediction_outputs, again.prediction_outputs)
    assert torch.equal(signal.feature, again.feature)
    assert torch.allclose(teacher(past_values=x[:1]).prediction_outputs, signal.prediction_outputs[:1], atol=1e-5)


@pytest.mark.parametrize("name", trainable_families())
def test_the_forecast_is_the_models_own(name):
    teacher = tiny_teacher(name)
    x = 3 * torch.randn(4, CONTEXT, CHANNELS) + 5
    own = teacher.model(past_values=x).prediction_outputs
    assert torch.allclose(teacher(past_values=x).prediction_outputs, own, atol=1e-5)


@every_family
def test_a_teacher_is_frozen_for_good(name):
    teacher = tiny_teacher(name).train()
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    x = torch.randn(2, CONTEXT, CHANNELS, requires_grad=True)
    before = {key: tensor.clone() for key, tensor in teacher.state_dict().items()}
    signal = teacher(past_values=x)
    assert not signal.prediction_outputs.requires_grad
    assert not signal.feature.requires_grad
    assert all(torch.equal(before[key], tensor) for key, tensor in teacher.state_dict().items())


@every_family
def test_missing_values_are_behind_the_mask(name):
    teacher = tiny_teacher(name)
    x, mask = torch.randn(2, CONTEXT, CHANNELS), torch.rand(2, CONTEXT, CHANNELS) > 0.2
    hidden = teacher(past_values=torch.where(mask, x, 0.0), past_observed_mask=mask)
    assert torch.isfinite(hidden.prediction_outputs).all()
    assert not torch.allclose(hidden.prediction_outputs, teacher(past_values=x).prediction_outputs)


@every_family
def test_save_and_load(name, tmp_path):
    teacher = tiny_teacher(name)
    teacher.model.save_pretrained(tmp_path)
    loaded = load_teacher(str(tmp_path))
    x = torch.randn(2, CONTEXT, CHANNELS)
    assert torch.equal(loaded(past_values=x).prediction_outputs, teacher(past_values=x).prediction_outputs)
    assert torch.equal(loaded(past_values=x).feature, teacher(past_values=x).feature)
    assert teacher_family_name(str(tmp_path)) == name


@every_family
def test_one_saved_in_half_precision_serves_in_single(name, tmp_path):
    teacher = tiny_teacher(name)
    teacher.model.to(torch.bfloat16).save_pretrained(tmp_path)
    signal = load_teacher(str(tmp_path))(past_values=torch.randn(2, CONTEXT, CHANNELS))
    assert signal.prediction_outputs.dtype == torch.float32


@every_family
def test_default_configuration_and_training_settings_are_valid(name, tmp_path):
    family = get_family(name)
    config = family.config(720, 96, 7)
    family.check_lengths(config, 720, 96)
    assert family.horizon(config) == 96
    if not family.checkpoint:
        assert (family.look_back(config), config.model_type) == (720, name)
        ForecastTrainingArguments(output_dir=str(tmp_path), **family.training_defaults)


def test_patchtst_distribution_head_forecasts_its_mean():
    model = tiny_patchtst(loss="nll", distribution_output="normal", pooling_type="mean").eval()
    teacher = Teacher(model, get_family("patchtst"))
    x = torch.randn(2, CONTEXT, CHANNELS) * 3 + 1
    output = model(past_values=x)
    expected = model.distribution_output.distribution(output.prediction_outputs, loc=output.loc, scale=output.scale)
    assert torch.allclose(teacher(past_values=x).prediction_outputs, expected.mean, atol=1e-5)
    assert teacher(past_values=x).prediction_outputs.shape == (2, HORIZON, CHANNELS)


def test_mismatches_name_both_sides_and_the_remedy():
    teacher = tiny_teacher("patchtst")
    teacher.check_fits(CONTEXT, HORIZON, CHANNELS)
    with pytest.raises(
        InputError, match=r"has context_length=48, the student and its data 96: pass --context_length 48"
    ):
        teacher.check_fits(96, HORIZON, CHANNELS)
    with pytest.raises(InputError, match=r"prediction_length=16.* 24"):
        teacher.check_fits(CONTEXT, 24, CHANNELS)
    with pytest.raises(InputError, match="trained on 3 channels, the data have 7"):
        teacher.check_fits(CONTEXT, HORIZON, 7)
    tiny_teacher("itransformer").check_fits(CONTEXT, HORIZON, 7)


def test_unknown_teachers_are_named(tmp_path):
    with pytest.raises(InputError, match="'gpt' is no teacher family known here"):
        get_family("gpt")
    with pytest.raises(InputError, match="is neither a family"):
        load_teacher(str(tmp_path / "nothing"))


def test_a_wrong_scale_warns(data, caplog):
    class Shifted(torch.nn.Module):
        def forward(self, past_values, **kwargs):
            from timedistill_hf.teachers import TeacherSignal

            return TeacherSignal(past_values[:, -HORIZON:] + 10)

    teacher_mse, naive_mse = teacher_against_naive(Shifted(), data.validation, 24)
    errors = [
        ((item["past_values"][-24 : -24 + HORIZON] - item["future_values"]) ** 2).mean().item()
        for item in (data.validation[index] for index in range(len(data.validation)))
    ]
    assert naive_mse == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    assert teacher_mse > 50
    warn_if_worse_than_naive(Shifted(), data.validation, 24)
    assert "may be on another scale" in caplog.text


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_without_its_feature_a_teacher_forecasts_the_same(name, data):
    teacher = tiny_teacher(name)
    windows = data.for_teacher(teacher.num_time_features).train
    inputs, _ = split_targets({name: value.unsqueeze(0) for name, value in windows[3].items()})
    alone = ForecastOnly(teacher)
    assert torch.equal(alone(**inputs).prediction_outputs, teacher(**inputs).prediction_outputs)
    assert alone(**inputs).feature is None
    assert alone.num_time_features == teacher.num_time_features
    assert alone.fingerprint() != teacher.fingerprint()
    alone.check_fits(CONTEXT, HORIZON, CHANNELS)
    with pytest.raises(InputError):
        alone.check_fits(CONTEXT, HORIZON + 1, CHANNELS)
