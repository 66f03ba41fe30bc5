import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import Trainer, TrainingArguments

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction, fuse
from timedistill_hf.models import LightTSConfig, LightTSForPrediction
from timedistill_hf.student import inference_copy

from .models import combination, tiny


ARCHITECTURES = ["two_branch", "mlp", "patch_mixer", "linear", "periodic", "cycle", "residual"]
FORMS = st.fixed_dictionaries(
    {
        "architecture": st.sampled_from(ARCHITECTURES),
        "normalization": st.sampled_from(["none", "mean", "last", "revin"]),
        "revin_affine": st.booleans(),
        "hidden_norm": st.sampled_from(["batchnorm", "layernorm", "none"]),
        "core": st.sampled_from(["mlp", "patch_mixer"]),
        "moving_average": st.sampled_from([1, 5, 25]),
        "dropout": st.sampled_from([0.0, 0.5]),
    }
)


def check_equal(fused, model: TimeDistillForPrediction, scale: float = 1.0, batch: int = 4) -> None:
    """The student's own forecasts, to 1e-5 of their size, with and without missing values."""
    x = scale * (torch.randn(batch, 29, 3) * 2 + 5)
    mask = torch.rand_like(x) > 0.3
    for inputs in ({"past_values": x}, {"past_values": x * mask, "past_observed_mask": mask}):
        with torch.no_grad():
            expected = copy.deepcopy(model).double().eval()(**{name: value.double() for name, value in inputs.items()})
        found = fused(**inputs).prediction_outputs
        assert (found.shape, found.dtype) == ((batch, 10, 3), torch.float32)
        error = (found - expected.prediction_outputs).abs().max()
        assert error <= 1e-5 * expected.prediction_outputs.abs().max().clamp(min=1)


@given(form=FORMS, seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_fused_student_forecasts_as_the_student_does(form, seed):
    torch.manual_seed(seed)
    model = tiny(**form, num_input_channels=3)
    check_equal(fuse(model), model)


@given(
    members=st.lists(FORMS, min_size=1, max_size=4),
    weights=st.lists(st.sampled_from([0.0, 0.3, 1.0, -0.5]), min_size=4, max_size=4),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_fused_combination_forecasts_as_the_combination_does(members, weights):
    model = combination(members, weights[: len(members)], num_input_channels=3)
    check_equal(fuse(model), model)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("normalization", ["mean", "revin"])
def test_of_any_size(normalization, scale):
    model = tiny("two_branch", normalization=normalization, hidden_norm="batchnorm", num_input_channels=3)
    check_equal(fuse(model), model, scale)


@pytest.mark.parametrize("hidden_norm", ["batchnorm", "layernorm", "none"])
@pytest.mark.parametrize("revin_affine", [True, False])
@pytest.mark.parametrize("normalization", ["mean", "revin"])
def test_its_forecast_has_the_students_gradient_in_the_window(normalization, revin_affine, hidden_norm):
    form = {"revin_affine": revin_affine, "hidden_norm": hidden_norm, "num_input_channels": 3}
    model = tiny("two_branch", normalization=normalization, **form).double().eval()
    x = torch.randn(2, 29, 3, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(model(past_values=x).prediction_outputs.square().sum(), x)
    (found,) = torch.autograd.grad(fuse(model)(past_values=x).prediction_outputs.square().sum(), x)
    torch.testing.assert_close(found, expected)


def test_the_papers_student_is_two_products():
    fused = fuse(TimeDistillForPrediction(TimeDistillConfig(num_input_channels=7)))
    (part,) = fused.parts
    # two branches of 512 units; two for the mean and its opposite, up to a multiple of 16; a batch norm's two tables
    assert {name: tuple(value.shape) for name, value in part.named_buffers()} == {
        "encoder": (1040, 720),
        "gain": (7, 1040),
        "offset": (7, 1040),
        "decoder": (96, 1040),
        "decoder_bias": (96,),
    }
    level = part.decoder[:, 1024:].sign() @ part.encoder[1024:]
    torch.testing.assert_close(part.encoder[1024], torch.full((720,), 1 / 720))
    torch.testing.assert_close(level, torch.full((96, 720), 2 / 720))  # relu passes one of the two
    assert not part.encoder[1026:].any()
    assert not part.decoder[:, 1026:].any()
    assert part.encoder.T.is_contiguous()  # as it is read quickest
    assert part.decoder.T.is_contiguous()


def test_everything_affine_is_one_product():
    fused = fuse(combination([{"architecture": "linear"}, {"architecture": "cycle", "normalization": "last"}]))
    (part,) = fused.parts
    assert {name: tuple(value.shape) for name, value in part.named_buffers()} == {"matrix": (10, 29), "bias": (10,)}


def test_a_student_without_weight_forecasts_nothing():
    fused = fuse(combination([{"architecture": "linear"}], [0.0]))
    assert torch.equal(fused(torch.randn(2, 29, 5)).prediction_outputs, torch.zeros(2, 10, 5))


def test_the_student_stays_as_it_is():
    model = tiny("two_branch").train()
    before = copy.deepcopy(model.state_dict())
    fuse(model)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_precision():
    model = tiny("mlp", hidden_norm="none")
    assert fuse(model.double()).dtype == torch.float64
    half = copy.deepcopy(model).bfloat16()
    fused = fuse(half)
    assert fused.dtype == torch.float32
    check_equal(fused, half)
    x = torch.randn(2, 29, 3, dtype=torch.bfloat16)
    assert fused(x).prediction_outputs.dtype == torch.bfloat16


def test_training_it_is_an_error(tmp_path):
    fused = fuse(combination([{"architecture": "patch_mixer", "normalization": "revin"}]))
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert not any(module.training for module in fused.modules())
    message = "a fused student only forecasts: train the student that it was made from"
    with pytest.raises(RuntimeError, match=message):
        fused.train()
    with pytest.raises(RuntimeError, match=message):
        fused.requires_grad_()
    with pytest.raises(RuntimeError, match="does not require grad"):
        fused(torch.randn(2, 29, 3)).prediction_outputs.sum().backward()
    row = {"past_values": torch.randn(29, 3), "future_values": torch.randn(10, 3)}
    arguments = TrainingArguments(str(tmp_path), report_to="none", use_cpu=True, disable_tqdm=True)
    trainer = Trainer(fused, arguments, train_dataset=[row] * 8)
    with pytest.raises(RuntimeError, match=message):
        trainer.train()


def test_what_cannot_be_fused():
    config = LightTSConfig(context_length=24, prediction_length=8, num_input_channels=2)
    with pytest.raises(ValueError, match="LightTSForPrediction cannot be fused: expected a TimeDistillForPrediction"):
        fuse(LightTSForPrediction(config))


@pytest.mark.parametrize("shape", [(2, 28, 3), (29, 3), (2, 29, 4)])
def test_a_window_of_another_shape_is_refused_as_by_the_student(shape):
    model = tiny("mlp", hidden_norm="batchnorm", num_input_channels=3)
    with pytest.raises(ValueError, match="past_values has") as expected:
        model(torch.zeros(shape))
    with pytest.raises(ValueError, match="past_values has") as found:
        fuse(model)(torch.zeros(shape))
    assert str(found.value) == str(expected.value)


def test_the_inference_copy_is_of_the_weights_at_hand():
    model = tiny("mlp").train()
    first = inference_copy(model)
    model.load_state_dict(tiny("mlp").state_dict())
    check_equal(inference_copy(model), model)
    assert model.training
    model.double()
    assert (inference_copy(model).dtype, first.dtype) == (torch.float64, torch.float32)


def test_other_models_are_their_own_inference_copies():
    model = LightTSForPrediction(LightTSConfig(context_length=24, prediction_length=8, num_input_channels=2))
    assert inference_copy(model) is model
