"""Functions and models of no known family as teachers."""

import json

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, InformerConfig, PatchTSTConfig, PatchTSTForPrediction

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_teacher
from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf._utils.errors import InputError
from timedistill_hf.signal_store.store import store_signal
from timedistill_hf.student.normalization_timedistill import fill_missing
from timedistill_hf.teachers import FAMILIES, load_teacher
from timedistill_hf.teachers.combined import SeveralTeachers
from timedistill_hf.teachers.external import CallableTeacher
from timedistill_hf.teachers.families.generic import generic_family


LENGTHS = {"context_length": CONTEXT, "prediction_length": HORIZON}


def last(past_values):
    return past_values[:, -HORIZON:]


def test_a_function_sees_what_it_asks_for(data):
    seen = []

    def forecast(past_values):
        seen.append(past_values)
        return past_values[:, :HORIZON] + 1

    x = data.train[0]["past_values"].unsqueeze(0)
    mask = torch.rand(x.shape) > 0.3
    for takes, kind in (("numpy", np.ndarray), ("torch", torch.Tensor)):
        teacher = CallableTeacher(forecast, name="f", version="1", takes=takes, **LENGTHS)
        found = teacher(x, mask).prediction_outputs
        assert type(seen[-1]) is kind
        assert torch.allclose(found, fill_missing(x, mask)[:, :HORIZON] + 1, atol=1e-6)
    in_units = CallableTeacher(forecast, name="f", version="1", processor=data.processor, **LENGTHS)
    found = in_units(x).prediction_outputs
    mean, std = torch.tensor(data.processor.mean), torch.tensor(data.processor.std)
    assert torch.allclose(torch.from_numpy(seen[-1]).float(), (x * std + mean), atol=1e-3)
    assert torch.allclose(found, x[:, :HORIZON] + 1 / std, atol=1e-4)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"array of shape \(2, 48, 3\): expected an array of shape \(2, 16, 3\), windows, steps"),
        (lambda x: x[:, :HORIZON].mean(axis=2), r"array of shape \(2, 16\)"),
        (lambda x: x[:, :HORIZON] * np.nan, "gave NaN or infinite values"),
        (lambda x: x[:, :HORIZON].tolist(), "gave a list"),
        (lambda x: None, "gave a NoneType"),
    ],
)
def test_what_a_function_gives_is_checked(function, message):
    teacher = CallableTeacher(function, name="mine", version="1", **LENGTHS)
    with pytest.raises(InputError, match=f"the teacher 'mine' .*{message}|the teacher 'mine' {message}"):
        teacher(torch.zeros(2, CONTEXT, CHANNELS))


def test_a_function_is_known_by_its_version(data, tmp_path):
    calls = []

    def teacher(version="1", **settings):
        def forecast(past_values):
            calls.append(len(past_values))
            return last(past_values)

        return CallableTeacher(forecast, name="f", version=version, **(LENGTHS | settings))

    first = store_signal(teacher(), data.train, tmp_path)
    assert sum(calls) == 1 + len(data.train)  # one to tell the shapes
    again = store_signal(teacher(), data.train, tmp_path)
    assert sum(calls) == 1 + len(data.train)
    assert again.folder == first.folder
    assert "teacher_feature" not in first[0]
    prints = [
        teacher(**settings).fingerprint()
        for settings in ({}, {"version": "2"}, {"prediction_length": 3}, {"processor": data.processor})
    ]
    assert len(set(prints)) == 4
    for wrong in ({"version": ""}, {"takes": "pandas"}, {"context_length": 0}):
        with pytest.raises(InputError):
            teacher(**wrong)


def test_a_function_must_fit():
    teacher = CallableTeacher(last, name="f", version="1", num_input_channels=CHANNELS, **LENGTHS)
    teacher.check_fits(CONTEXT, HORIZON, CHANNELS)
    for lengths, message in (
        ((96, HORIZON, CHANNELS), "has context_length=48, the student and its data 96"),
        ((CONTEXT, 8, CHANNELS), "has prediction_length=16, the student and its data 8"),
        ((CONTEXT, HORIZON, 7), "has num_input_channels=3, the student and its data 7"),
    ):
        with pytest.raises(InputError, match=message):
            teacher.check_fits(*lengths)


def test_functions_and_models_are_taken_together():
    members = [CallableTeacher(last, name="f", version="1", **LENGTHS), tiny_teacher("patchtst")]
    x = torch.randn(2, CONTEXT, CHANNELS)
    expected = (members[0](x).prediction_outputs + members[1](x).prediction_outputs) / 2
    assert torch.allclose(SeveralTeachers(members)(x).prediction_outputs, expected, atol=1e-6)


def test_a_student_may_teach(student, tmp_path):
    student.eval().save_pretrained(tmp_path)
    teacher = load_teacher(tmp_path)
    x = torch.randn(2, CONTEXT, CHANNELS)
    output = student(past_values=x)
    assert torch.allclose(teacher(x).prediction_outputs, output.prediction_outputs, atol=1e-6)
    assert torch.allclose(teacher(x).feature, output.feature, atol=1e-6)
    assert teacher.name == "timedistill"
    with pytest.raises(InputError, match="trained on 3 channels, the data have 7"):
        teacher.check_fits(CONTEXT, HORIZON, 7)


def test_transformers_class_is_found_by_the_configurations_architectures():
    config = PatchTSTConfig(context_length=CONTEXT, prediction_length=HORIZON, num_input_channels=CHANNELS)
    config.architectures = ["PatchTSTForPrediction"]
    family = generic_family(config, "here", ())
    assert family.model_class is PatchTSTForPrediction
    model = PatchTSTForPrediction(config).eval()
    x, mask = torch.randn(2, CONTEXT, CHANNELS), torch.rand(2, CONTEXT, CHANNELS) > 0.3
    found = family.signal(model, x, mask)
    expected = model(past_values=fill_missing(x, mask), past_observed_mask=mask).prediction_outputs
    torch.testing.assert_close(found.prediction_outputs, expected)
    assert found.feature is None


@pytest.mark.parametrize(
    ("config", "architectures", "message"),
    [
        (
            BertConfig(),
            ["BertModel"],
            "BertModel.: its forward has no past_values, expected a forward",
        ),
        (BertConfig(), None, "of type 'bert', architectures=None: expected one of patchtst, .* or a forward with"),
        (BertConfig(), ["os"], "of type 'bert', architectures=.*: expected one of"),
        (BertConfig(), ["PatchTSTForPrediction"], "its config has no context_length, .* or write its forecasts"),
        (
            InformerConfig(prediction_length=4),
            ["InformerForPrediction"],
            "its forward also needs 'past_time_features'",
        ),
    ],
)
def test_what_a_model_lacks_is_said(config, architectures, message):
    config.architectures = architectures
    known = [name for name in FAMILIES if name != "informer"]
    with pytest.raises(InputError, match=message):
        generic_family(config, "here", known)


def test_outputs_of_another_shape_are_refused():
    config = TimeDistillConfig(**LENGTHS, num_input_channels=CHANNELS, hidden_size=8)
    family = generic_family(config, "here", FAMILIES)
    model = TimeDistillForPrediction(config).eval()
    config.prediction_length = HORIZON + 1
    with pytest.raises(InputError, match=r"prediction_outputs of shape \(2, 16, 3\), expected \(2, 17, 3\)"):
        family.signal(model, torch.randn(2, CONTEXT, CHANNELS))
    bert = BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8))
    bert.forward = lambda past_values: {"prediction_outputs": past_values}
    with pytest.raises(InputError, match="its output has no prediction_outputs"):
        family.signal(bert, torch.randn(2, CONTEXT, CHANNELS))


CODE = """
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput


class RepeatConfig(PreTrainedConfig):
    model_type = "repeat"
    context_length: int = 48
    prediction_length: int = 16


class RepeatForPrediction(PreTrainedModel):
    config_class = RepeatConfig

    def __init__(self, config):
        super().__init__(config)
        self.factor = torch.nn.Parameter(torch.ones(1))
        self.post_init()

    def forward(self, past_values, **kwargs):
        return ModelOutput(prediction_outputs=self.factor * past_values[:, -self.config.prediction_length :])
"""


def test_code_of_its_own_runs_only_where_it_is_trusted(tmp_path):
    from safetensors.torch import save_file

    (tmp_path / "repeat.py").write_text(CODE)
    auto_map = {
        "AutoConfig": "repeat.RepeatConfig",
        "AutoModelForTimeSeriesPrediction": "repeat.RepeatForPrediction",
    }
    config = {"model_type": "repeat", "architectures": ["RepeatForPrediction"], "auto_map": auto_map, **LENGTHS}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"factor": torch.full((1,), 2.0)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="custom code"):
        load_teacher(tmp_path)
    teacher = load_teacher(tmp_path, trust_remote_code=True)
    x = torch.randn(2, CONTEXT, CHANNELS)
    assert torch.equal(teacher(x).prediction_outputs, 2 * x[:, -HORIZON:])
    teacher.check_fits(CONTEXT, HORIZON, 7)
