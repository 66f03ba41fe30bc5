import pytest
import torch

from timedistill_hf.objective import TimeDistillObjective, multi_period_loss, multi_scale_loss


def batch(steps=32, channels=3, width=16, size=4):
    prediction, target, taught = torch.randn(3, size, steps, channels)
    feature, taught_feature = torch.randn(2, size, channels, width)
    return {
        "prediction": prediction,
        "target": target,
        "teacher_prediction": taught,
        "feature": feature,
        "teacher_feature": taught_feature,
    }


def test_the_sum_is_the_equation():
    inputs = batch()
    terms = TimeDistillObjective(alpha=0.7, beta=0.3, num_scales=2, temperature=0.8)(**inputs)
    student, teacher = inputs["prediction"], inputs["teacher_prediction"]
    expected = (
        (student - inputs["target"]).square().mean()
        + 0.7 * (multi_scale_loss(student, teacher, 2, 1) + multi_period_loss(student, teacher, 0.8, dim=1))
        + 0.3 * multi_scale_loss(inputs["feature"], inputs["teacher_feature"], 2, 2)
        + 0.3 * multi_period_loss(inputs["feature"], inputs["teacher_feature"], 0.8, dim=2)
    )
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert list(terms) == [
        "supervised",
        "prediction_scale",
        "prediction_period",
        "feature_scale",
        "feature_period",
        "loss",
    ]


@pytest.mark.parametrize(
    ("off", "left"), [("scale_weight", "period"), ("period_weight", "scale")], ids=["no scale", "no period"]
)
def test_a_term_whose_weight_is_0_is_left_out_and_the_others_stay(off, left):
    inputs = batch()
    whole = TimeDistillObjective(alpha=0.7, beta=0.3)(**inputs)
    terms = TimeDistillObjective(alpha=0.7, beta=0.3, **{off: 0.0})(**inputs)
    assert set(terms) == {"supervised", f"prediction_{left}", f"feature_{left}", "loss"}
    expected = whole["supervised"] + 0.7 * whole[f"prediction_{left}"] + 0.3 * whole[f"feature_{left}"]
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_terms_are_weighted_within_their_pairs_and_reported_without():
    inputs = batch()
    whole = TimeDistillObjective(alpha=0.7, beta=0)(**inputs)
    terms = TimeDistillObjective(alpha=0.7, beta=0, scale_weight=2, period_weight=0.5)(**inputs)
    expected = whole["supervised"] + 0.7 * (2 * whole["prediction_scale"] + 0.5 * whole["prediction_period"])
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert terms["prediction_scale"].item() == pytest.approx(whole["prediction_scale"].item(), rel=1e-6)


def test_the_floor_reaches_the_period_terms():
    inputs = batch() | {"feature": 100 * torch.randn(4, 3, 16), "teacher_feature": 100 * torch.randn(4, 3, 16)}
    terms = TimeDistillObjective(kl_floor=1e-8)(**inputs)
    expected = multi_period_loss(inputs["feature"], inputs["teacher_feature"], dim=2, floor=1e-8)
    assert terms["feature_period"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert terms["feature_period"].item() < 0.9 * TimeDistillObjective()(**inputs)["feature_period"].item()


@pytest.mark.parametrize("kl_reduction", ["element", "distribution"])
def test_distilling_from_itself_is_exactly_zero(kl_reduction):
    inputs = batch()
    inputs |= {"teacher_prediction": inputs["prediction"].clone(), "teacher_feature": inputs["feature"].clone()}
    terms = TimeDistillObjective(alpha=2, beta=2, kl_reduction=kl_reduction)(**inputs)
    for name in ("prediction_scale", "prediction_period", "feature_scale", "feature_period"):
        assert terms[name].item() == 0.0
    assert terms["loss"].item() == terms["supervised"].item()


def test_mixup_identity_in_values_and_gradients():
    """Truth and scale-0 term are one regression on labels mixed with lambda = 1 / (1 + a), plus a constant."""
    target, taught = torch.randn(2, 8, 24, 3, dtype=torch.float64).float()
    alpha = 1.7
    objective = TimeDistillObjective(alpha=alpha, beta=0, num_scales=0)

    prediction = torch.randn(8, 24, 3, requires_grad=True)
    terms = objective(prediction, target, taught)
    both = terms["supervised"] + alpha * terms["prediction_scale"]
    gradient = torch.autograd.grad(both, prediction)[0]

    mixed_label = (target + alpha * taught) / (1 + alpha)
    mixed = (1 + alpha) * (prediction - mixed_label).square().mean()
    mixed = mixed + alpha / (1 + alpha) * (target - taught).square().mean()
    assert both.item() == pytest.approx(mixed.item(), rel=1e-6)
    assert torch.allclose(gradient, torch.autograd.grad(mixed, prediction)[0], atol=1e-7)


def test_terms_that_are_off_are_not_computed():
    inputs = batch()
    assert set(TimeDistillObjective(alpha=0, beta=0)(**inputs)) == {"supervised", "loss"}
    no_feature = inputs | {"feature": None}
    assert "feature_scale" not in TimeDistillObjective()(**no_feature)


def test_gradients_reach_the_student_only_as_far_as_asked():
    inputs = batch()
    teacher = inputs["teacher_prediction"].requires_grad_(False)
    prediction = inputs["prediction"].requires_grad_()
    TimeDistillObjective(beta=0)(prediction, inputs["target"], teacher)["loss"].backward()
    assert prediction.grad.abs().sum() > 0
    assert teacher.grad is None


def test_missing_truth_is_left_out_of_the_supervised_term():
    inputs = batch()
    observed = torch.rand(inputs["target"].shape) > 0.3
    target = torch.where(observed, inputs["target"], torch.nan)
    terms = TimeDistillObjective()(**(inputs | {"target": target, "observed": observed}))
    expected = (inputs["prediction"] - target)[observed].square().mean()
    assert terms["supervised"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_two_thousand_random_shapes_and_magnitudes_give_no_nan():
    generator = torch.Generator().manual_seed(0)

    def integer(low, high):
        return int(torch.randint(low, high, (1,), generator=generator))

    for trial in range(2000):
        size, channels, steps, width = integer(1, 5), integer(1, 5), integer(8, 200), integer(8, 64)
        exponents = torch.randint(-20, 7, (4,), generator=generator).tolist()
        dtype = torch.bfloat16 if trial % 4 == 0 else torch.float32
        shapes = [(size, steps, channels)] * 2 + [(size, channels, width)] * 2
        tensors = [
            (torch.randn(shape, generator=generator) * 10.0**exponent).to(dtype)
            for shape, exponent in zip(shapes, exponents, strict=True)
        ]
        if trial % 10 == 0:
            tensors[integer(0, 4)].zero_()
        prediction, taught, feature, taught_feature = tensors
        prediction.requires_grad_()
        feature.requires_grad_()
        taught_feature.requires_grad_()
        kl_reduction = ("element", "distribution")[trial % 2]
        objective = TimeDistillObjective(alpha=2, beta=2, kl_reduction=kl_reduction)
        terms = objective(prediction, torch.randn(shapes[0], generator=generator), taught, feature, taught_feature)
        terms["loss"].backward()
        for name, term in terms.items():
            assert torch.isfinite(term), (trial, name, exponents)
        for tensor in (prediction, feature, taught_feature):
            assert torch.isfinite(tensor.grad).all(), (trial, exponents)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"alpha": -1}, "alpha=-1"),
        ({"beta": float("nan")}, "beta=nan"),
        ({"temperature": 0}, "temperature=0"),
        ({"num_scales": -1}, "num_scales=-1"),
        ({"scale_weight": -1}, "scale_weight=-1"),
        ({"scale_weight": 0, "period_weight": 0}, "leaves no term of the teacher"),
        ({"kl_floor": 2}, "kl_floor=2"),
        ({"kl_reduction": "sum"}, "kl_reduction='sum'"),
        ({"loss": "huber"}, "loss='huber'"),
    ],
)
def test_bad_settings_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        TimeDistillObjective(**setting)
