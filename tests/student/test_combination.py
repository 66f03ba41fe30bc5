import json

import pytest
import torch

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.student.normalization_timedistill import fill_missing

from .models import FORM, LENGTHS, combination, tiny


MEMBERS = [
    {"architecture": "linear", "normalization": "last"},
    {"architecture": "residual", "normalization": "revin", "hidden_size": 5, "loss": "mae"},
    {"architecture": "periodic", "period": 5, "normalization": "none"},
    {"architecture": "two_branch", "hidden_norm": "none", "moving_average": 3},
    {"architecture": "cycle"},
]
WEIGHTS = [0.2, -0.3, 0.5, 0.4, 0.1]


def students_of(model: TimeDistillForPrediction) -> list[TimeDistillForPrediction]:
    """Each member as a student of its own, built from its fields and with its weights."""
    students = []
    for member, form in zip(model.backbone.members, model.config.members):
        student = TimeDistillForPrediction(TimeDistillConfig(**LENGTHS | FORM | form)).eval()
        student.load_state_dict(member.state_dict())
        students.append(student)
    return students


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_combination_is_the_weighted_sum_of_its_members(dtype):
    model = combination(MEMBERS, WEIGHTS).to(dtype)
    x = torch.randn(3, 29, 4) * 2 + 30
    students = [student.to(dtype) for student in students_of(model)]
    outputs = [student(past_values=x) for student in students]
    weights = model.backbone.weights.tolist()
    expected = sum(weight * output.prediction_outputs.double() for weight, output in zip(weights, outputs))
    output = model(past_values=x)
    assert output.prediction_outputs.dtype == torch.float32
    torch.testing.assert_close(output.prediction_outputs.double(), expected, atol=1e-4, rtol=1e-6)
    torch.testing.assert_close(output.feature, torch.cat([outputs[1].feature, outputs[3].feature], dim=-1))
    assert output.feature.shape == (3, 4, model.config.feature_size)
    assert torch.equal(output.loc, torch.zeros(3, 1, 4))
    assert torch.equal(output.scale, torch.ones(3, 1, 4))


def test_masked_windows_are_filled_for_every_member():
    model = combination(MEMBERS, WEIGHTS)
    x = torch.randn(2, 29, 3)
    mask = torch.rand_like(x) > 0.3
    spoiled = torch.where(mask, x, torch.nan)
    output = model(past_values=spoiled, past_observed_mask=mask).prediction_outputs
    torch.testing.assert_close(output, model(past_values=fill_missing(x, mask)).prediction_outputs)


def test_it_starts_as_the_plain_mean_and_trains_its_members_only():
    model = TimeDistillForPrediction(
        TimeDistillConfig(
            **LENGTHS
            | FORM
            | {"architecture": "combination", "members": [{"architecture": "linear"}, {"architecture": "cycle"}]}
        )
    )
    assert model.backbone.weights.tolist() == [0.5, 0.5]
    x, y = torch.randn(2, 29, 3), torch.randn(2, 10, 3)
    model(past_values=x, future_values=y).loss.backward()
    assert {name for name, _ in model.named_parameters()} == {
        "backbone.members.0.backbone.projection.weight",
        "backbone.members.0.backbone.projection.bias",
        "backbone.members.1.backbone.logits",
        "backbone.members.1.backbone.projection.weight",
        "backbone.members.1.backbone.projection.bias",
    }
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model(past_values=x).feature is None
    assert model.config.feature_size is None


def test_its_own_normalization_is_that_of_members_that_name_none():
    model = combination([{"architecture": "linear"}], normalization="last")
    single = tiny("linear", normalization="last")
    single.load_state_dict(model.backbone.members[0].state_dict())
    x = torch.randn(2, 29, 3) + 8
    torch.testing.assert_close(model(past_values=x).prediction_outputs, single(past_values=x).prediction_outputs)


def test_one_bound_member_binds_them_all():
    free = {"architecture": "linear"}
    for bound in (
        {"architecture": "residual", "hidden_norm": "batchnorm"},
        {"architecture": "linear", "normalization": "revin", "revin_affine": True},
    ):
        model = combination([free, bound], num_input_channels=3)
        assert model.config.is_channel_bound
        with pytest.raises(ValueError, match="has 5 channels, this student was built for 3"):
            model(past_values=torch.randn(2, 29, 5))
    # what the combination itself says binds nothing where no member takes it up
    config = combination([free], num_input_channels=3, hidden_norm="batchnorm").config
    assert not config.is_channel_bound


def test_save_and_load_is_bit_identical(tmp_path):
    model = combination(MEMBERS, WEIGHTS, frequency_weight=0.3)
    model.save_pretrained(tmp_path)
    loaded = TimeDistillForPrediction.from_pretrained(tmp_path)
    x = torch.randn(2, 29, 3)
    assert torch.equal(loaded.backbone.weights, torch.tensor(WEIGHTS))
    assert torch.equal(loaded(past_values=x).prediction_outputs, model(past_values=x).prediction_outputs)
    assert loaded.config.members == MEMBERS
    assert {**loaded.config.to_dict(), "_name_or_path": ""} == model.config.to_dict()


def test_a_combination_that_0_1_0_saved_still_loads(tmp_path):
    """Its configuration and its members name how the loss weighed the horizon, which is gone."""
    model = combination(MEMBERS, WEIGHTS)
    model.save_pretrained(tmp_path)
    old = json.loads((tmp_path / "config.json").read_text())
    old["members"] = [member | {"horizon_weighting": "none"} for member in old["members"]]
    (tmp_path / "config.json").write_text(json.dumps(old | {"horizon_weighting": "none"}))
    loaded = TimeDistillForPrediction.from_pretrained(tmp_path)
    x = torch.randn(2, 29, 3)
    assert torch.equal(loaded(past_values=x).prediction_outputs, model(past_values=x).prediction_outputs)
    assert loaded.config.members == MEMBERS
    assert "horizon_weighting" not in loaded.config.to_json_string()


def test_members_have_a_full_configuration_of_their_own():
    configs = combination(MEMBERS, dropout=0.2).config.member_configs()
    assert [config.architecture for config in configs] == [member["architecture"] for member in MEMBERS]
    assert (configs[1].hidden_size, configs[1].loss, configs[1].dropout) == (5, "mae", 0.2)
    assert (configs[3].hidden_size, configs[3].hidden_norm, configs[3].loss) == (8, "none", "mse")
    assert {(config.context_length, config.prediction_length) for config in configs} == {(29, 10)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": None}, "members=None: architecture='combination' needs one or more"),
        ({"members": []}, "needs one or more"),
        ({"members": [{"architecture": "linear"}, {}]}, r"members\[1\]={}: expected an 'architecture'"),
        ({"members": [{"architecture": "combination"}]}, "other than 'combination'"),
        ({"members": [{"architecture": "linear", "context_length": 9}]}, r"members\[0\] sets 'context_length'"),
        ({"members": [{"architecture": "linear", "num_input_channels": 9}]}, "sets 'num_input_channels'"),
        ({"members": [{"architecture": "linear", "members": []}]}, "sets 'members'"),
        ({"members": [{"architecture": "mlp", "width": 9}]}, "no field 'width': it may set architecture, core"),
        ({"members": [{"architecture": "cnn"}]}, r"members\[0\]: .*'architecture'"),
        ({"members": [{"architecture": "mlp", "hidden_size": "wide"}]}, r"members\[0\]: .*'hidden_size'"),
        ({"members": [{"architecture": "cycle", "period": 30}]}, r"members\[0\]: period=30: expected at most"),
        ({"members": [{"architecture": "mlp", "hidden_norm": "batchnorm"}]}, r"members\[0\]: num_input_channels=None"),
        ({"members": ["linear"]}, "members"),
        ({"architecture": "linear", "members": [{"architecture": "linear"}]}, "members go with"),
    ],
)
def test_bad_members_are_refused(settings, message):
    with pytest.raises(Exception, match=message):
        TimeDistillConfig(**LENGTHS | FORM | {"architecture": "combination"} | settings)
