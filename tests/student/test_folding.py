import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.student import fold, linear_map

from .models import combination, tiny


AFFINE = [
    {"architecture": architecture, "normalization": normalization}
    for architecture in ("linear", "periodic", "cycle")
    for normalization in ("none", "mean", "last")
]
LINEAR, PERIODIC, CYCLE = ({"architecture": name} for name in ("linear", "periodic", "cycle"))
RESIDUAL = {"architecture": "residual"}
RESIDUAL_LAST = {"architecture": "residual", "normalization": "last", "hidden_norm": "none", "hidden_size": 6}
RESIDUAL_NONE = {"architecture": "residual", "normalization": "none"}
RESIDUAL_REVIN = {"architecture": "residual", "normalization": "revin"}
RESIDUAL_AFFINE = {"architecture": "residual", "normalization": "revin", "revin_affine": True}
RESIDUAL_BATCHNORM = {"architecture": "residual", "hidden_norm": "batchnorm"}
MLP, TWO_BRANCH = {"architecture": "mlp"}, {"architecture": "two_branch", "moving_average": 5}
LINEAR_REVIN = {"architecture": "linear", "normalization": "revin"}
ALL = [
    *AFFINE,
    *(RESIDUAL, RESIDUAL_LAST, RESIDUAL_NONE, RESIDUAL_REVIN, RESIDUAL_AFFINE, RESIDUAL_BATCHNORM),
    *(MLP, TWO_BRANCH, LINEAR_REVIN, {"architecture": "mlp", "normalization": "none"}),
]


def check_equal(folded: TimeDistillForPrediction, model: TimeDistillForPrediction, channels: int = 3) -> None:
    """The same forecasts to 1e-5 of their size, far from zero, and with values missing."""
    assert not folded.training
    x = torch.randn(4, 29, channels) * 2 + 5
    mask = torch.rand_like(x) > 0.3
    for inputs in ({"past_values": x}, {"past_values": x * mask, "past_observed_mask": mask}):
        with torch.no_grad():
            # the reference is free of the rounding that folding takes out
            expected = copy.deepcopy(model).double()(**{name: value.double() for name, value in inputs.items()})
            output = folded(**inputs)
        error = (output.prediction_outputs - expected.prediction_outputs).abs().max()
        assert error <= 1e-5 * expected.prediction_outputs.abs().max().clamp(min=1)


def forms(model: TimeDistillForPrediction) -> list[str]:
    if model.config.architecture != "combination":
        return [model.config.architecture]
    return [member["architecture"] for member in model.config.members]


@pytest.mark.parametrize("form", AFFINE, ids=lambda form: "-".join(form.values()))
@pytest.mark.parametrize("period", [1, 7, 10])
def test_the_map_of_an_affine_student_on_any_window(form, period):
    model = tiny(**form, period=period)
    matrix, bias = linear_map(model)
    assert (matrix.dtype, matrix.shape, bias.shape) == (torch.float64, (10, 29), (10,))
    x = torch.randn(5, 29, 3, dtype=torch.float64) * 3 + 10
    expected = copy.deepcopy(model).double()(past_values=x).prediction_outputs.transpose(1, 2)
    torch.testing.assert_close(x.transpose(1, 2) @ matrix.T + bias, expected, atol=1e-10, rtol=0)
    assert model.dtype == torch.float32


def test_the_map_agrees_with_finite_differences():
    model = combination([LINEAR, PERIODIC | {"normalization": "none"}, CYCLE], [0.5, -0.2, 0.9])
    matrix, bias = linear_map(model)
    exact = copy.deepcopy(model).double()

    def forecast(x: torch.Tensor) -> torch.Tensor:
        return exact(past_values=x.view(1, -1, 1)).prediction_outputs.flatten()

    x = torch.randn(29, dtype=torch.float64)
    for step in range(29):
        moved = x.clone()
        moved[step] += 0.5
        torch.testing.assert_close((forecast(moved) - forecast(x)) / 0.5, matrix[:, step], atol=1e-9, rtol=0)
    torch.testing.assert_close(forecast(torch.zeros(29, dtype=torch.float64)), bias, atol=1e-12, rtol=0)


def test_the_map_of_a_linear_student_by_hand():
    model = tiny("linear", normalization="last")
    weight = model.backbone.projection.weight.detach().double()
    expected = weight.clone()
    expected[:, -1] += 1 - weight.sum(dim=1)
    matrix, bias = linear_map(model)
    torch.testing.assert_close(matrix, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(bias, model.backbone.projection.bias.detach().double(), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: tiny("mlp"), "architecture='mlp' with normalization='mean' is no linear map"),
        (lambda: tiny("linear", normalization="revin"), "normalization='revin' is no linear map"),
        (lambda: combination([LINEAR, RESIDUAL]), "architecture='residual'"),
    ],
)
def test_a_student_without_a_map_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        linear_map(model())


def test_a_member_without_weight_does_not_stand_in_the_way():
    model = combination([LINEAR, RESIDUAL], [1.0, 0.0])
    single = tiny("linear")
    single.load_state_dict(model.backbone.members[0].state_dict())
    for part, expected in zip(linear_map(model), linear_map(single)):
        torch.testing.assert_close(part, expected)


@pytest.mark.parametrize(
    ("members", "weights", "architecture", "normalization"),
    [
        ([LINEAR, PERIODIC, CYCLE], [0.2, 0.3, 0.5], "linear", "mean"),
        ([LINEAR, PERIODIC, CYCLE | {"normalization": "last"}], None, "linear", "mean"),
        ([LINEAR, PERIODIC, CYCLE], [0.2, 0.3, 0.4], "linear", "none"),
        ([LINEAR, CYCLE | {"normalization": "none"}], [0.5, 0.5], "linear", "mean"),
        ([LINEAR, PERIODIC | {"normalization": "none"}], [0.5, 0.5], "linear", "none"),
        ([LINEAR, CYCLE], [1.0, -1.0], "linear", "none"),
        ([LINEAR, MLP], [0.7, 0.0], "linear", "none"),
        ([RESIDUAL_NONE], [0.8], "residual", "none"),
        ([MLP | {"normalization": "none"}, LINEAR], [0.8, 0.0], "mlp", "none"),
        ([TWO_BRANCH, LINEAR], [1.0, 0.0], "two_branch", "mean"),
        ([RESIDUAL_REVIN, LINEAR], [1.0, 0.0], "residual", "revin"),
    ],
)
def test_what_folds_to_one_form(members, weights, architecture, normalization):
    model = combination(members, weights)
    folded = fold(model)
    assert (folded.config.architecture, folded.config.normalization) == (architecture, normalization)
    assert folded.config.members is None
    assert (
        folded.num_parameters()
        == tiny(**next(m for m in [*members, LINEAR] if m["architecture"] == architecture)).num_parameters()
    )
    check_equal(folded, model)


@pytest.mark.parametrize(
    ("members", "weights", "architectures"),
    [
        ([LINEAR, PERIODIC, RESIDUAL], [0.2, 0.3, 0.5], ["linear", "mlp"]),
        ([LINEAR, RESIDUAL_NONE], [0.2, 0.3], ["linear", "mlp"]),
        ([RESIDUAL_LAST], [0.8], ["residual"]),
        ([LINEAR, CYCLE, RESIDUAL_LAST, RESIDUAL_REVIN], [0.2, 0.2, 0.3, 0.3], ["linear", "mlp", "mlp"]),
        ([RESIDUAL_REVIN, RESIDUAL_REVIN], [0.4, 0.6], ["linear", "mlp", "mlp"]),
        ([RESIDUAL_REVIN, LINEAR], [0.4, 0.6], ["linear", "mlp"]),
        ([RESIDUAL_REVIN, RESIDUAL_NONE, LINEAR], [0.4, 0.6, 0.5], ["linear", "mlp", "mlp"]),
        ([RESIDUAL_AFFINE, PERIODIC, LINEAR], [0.4, 0.4, 0.2], ["linear", "residual"]),
        ([RESIDUAL, RESIDUAL_LAST, RESIDUAL_NONE], None, ["linear", "mlp", "mlp", "mlp"]),
        ([RESIDUAL, RESIDUAL_BATCHNORM], [0.5, 0.5], ["linear", "mlp", "mlp"]),
        ([MLP, LINEAR, TWO_BRANCH, CYCLE], None, ["linear", "mlp", "two_branch"]),
        ([LINEAR_REVIN, LINEAR, CYCLE], None, ["linear", "linear"]),
        ([MLP, PERIODIC], [0.5, 0.5], ["mlp", "periodic"]),
        ([RESIDUAL_REVIN, LINEAR], [0.7, 0.0], ["residual"]),
    ],
)
def test_members_after_folding(members, weights, architectures):
    model = combination(members, weights, num_input_channels=3)
    folded = fold(model)
    assert folded.config.architecture == "combination"
    assert forms(folded) == architectures
    linear_path = 29 * 10 + 10
    if set(forms(model)) <= {"linear", "residual"}:
        paths = sum(form in ("linear", "residual") for form in architectures)
        assert model.num_parameters() - folded.num_parameters() == (len(members) - paths) * linear_path
    check_equal(folded, model)


def test_rounding_does_not_take_revin_away():
    """Row sums of large maps are off by more than the tolerance; RevIN parts do not need them."""
    model = combination([RESIDUAL_REVIN, RESIDUAL_REVIN], [0.2, 0.8])
    for member in model.backbone.members:
        member.backbone.projection.weight.data *= 1e9
    folded = fold(model)
    assert [member["normalization"] for member in folded.config.members] == ["none", "revin", "revin"]
    assert folded.backbone.weights.tolist() == pytest.approx([1, 0.2, 0.8])
    check_equal(folded, model)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    members=st.lists(st.tuples(st.sampled_from(ALL), st.floats(-1, 1) | st.just(0.0)), min_size=1, max_size=5),
    sums_to_one=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_combination_folds_to_an_equal_student(members, sums_to_one, seed):
    torch.manual_seed(seed)
    weights = torch.tensor([weight for _, weight in members])
    if sums_to_one and weights.abs().sum() > 0:
        weights = weights.abs() / weights.abs().sum()
    model = combination([form for form, _ in members], weights.tolist(), num_input_channels=3)
    folded = fold(model)
    assert folded.num_parameters() <= model.num_parameters()
    check_equal(folded, model)
    check_equal(fold(folded), model)
    assert forms(fold(folded)) == forms(folded)


@pytest.mark.parametrize("form", ALL, ids=lambda form: "-".join(map(str, form.values())))
def test_students_of_one_form(form):
    model = tiny(**form, num_input_channels=3)
    folded = fold(model)
    check_equal(folded, model)
    if form["architecture"] == "cycle":
        assert folded.config.architecture == "linear"
        # a cycle gives a level back by itself
        assert folded.config.normalization == "mean"
        return
    assert folded.config.to_dict() == model.config.to_dict()
    assert folded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in folded.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])
        assert tensor.data_ptr() != model.state_dict()[name].data_ptr()


@pytest.mark.parametrize("members", [[MLP, TWO_BRANCH], [LINEAR, MLP], [RESIDUAL_AFFINE, RESIDUAL, LINEAR_REVIN]])
def test_a_combination_that_cannot_fold_is_copied(members):
    model = combination(members, num_input_channels=3)
    folded = fold(model)
    assert folded.config.members == members
    x = torch.randn(2, 29, 3)
    torch.testing.assert_close(folded(past_values=x).prediction_outputs, model(past_values=x).prediction_outputs)


def test_nothing_but_zero_weights():
    model = combination([LINEAR, MLP], [0.0, 0.0])
    folded = fold(model)
    assert (folded(past_values=torch.randn(2, 29, 3)).prediction_outputs == 0).all()
    assert not linear_map(model)[0].any()


@pytest.mark.parametrize("training", [True, False])
def test_the_input_stays_as_it_is(training):
    model = combination([RESIDUAL_REVIN, RESIDUAL, LINEAR, CYCLE, MLP]).train(training)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = copy.deepcopy(model.config.to_dict())
    fold(model)
    fold(model).load_state_dict({name: torch.zeros_like(t) for name, t in fold(model).state_dict().items()})
    assert model.training is training
    assert model.dtype == torch.float32
    assert model.config.to_dict() == config
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_the_way_of_scoring_stays_the_combinations():
    scoring = {"loss": "mae", "frequency_weight": 0.2}
    other = {"loss": "mse", "frequency_weight": 0.5}
    model = combination([RESIDUAL | other | {"dropout": 0.3}, LINEAR], **scoring)
    folded = fold(model)
    assert {name: getattr(folded.config, name) for name in scoring} == scoring
    assert folded.config.members[1]["dropout"] == 0.3
    x, y = torch.randn(2, 29, 3), torch.randn(2, 10, 3)
    losses = [student(past_values=x, future_values=y).loss.item() for student in (folded, model)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_precision_stays():
    model = combination([LINEAR, CYCLE]).to(torch.bfloat16)
    folded = fold(model)
    assert folded.dtype == torch.bfloat16
    x = torch.randn(2, 29, 3)
    expected = model(past_values=x).prediction_outputs
    torch.testing.assert_close(folded(past_values=x).prediction_outputs, expected, atol=0.1, rtol=0)


def test_a_folded_student_travels(tmp_path):
    folded = fold(combination([LINEAR, RESIDUAL, RESIDUAL_REVIN, CYCLE]))
    folded.save_pretrained(tmp_path)
    loaded = TimeDistillForPrediction.from_pretrained(tmp_path)
    x = torch.randn(2, 29, 3)
    assert torch.equal(loaded(past_values=x).prediction_outputs, folded(past_values=x).prediction_outputs)


def test_sizes_at_full_length():
    members = [LINEAR, PERIODIC, CYCLE]
    config = TimeDistillConfig(architecture="combination", num_input_channels=None, members=members)
    assert fold(TimeDistillForPrediction(config)).num_parameters() == 69_216
    members = [*members, {"architecture": "residual", "hidden_norm": "layernorm", "hidden_size": 16}]
    config = TimeDistillConfig(architecture="combination", num_input_channels=None, members=members)
    mlp = (720 * 16 + 16) + 2 * 16 + (16 * 96 + 96)
    assert fold(TimeDistillForPrediction(config)).num_parameters() == 69_216 + mlp
