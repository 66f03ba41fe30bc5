"""Several teachers keep the promises of one."""

import pytest
import torch

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_informer, tiny_patchtst, tiny_teacher
from timedistill_hf import TimeDistillForPrediction, TimeDistillTrainer
from timedistill_hf._utils.errors import InputError
from timedistill_hf.evaluation.evaluate_model import score_models
from timedistill_hf.signal_store.quality import teacher_against_naive
from timedistill_hf.signal_store.store import plan_store, store_signal
from timedistill_hf.teachers import Teacher, TeacherSignal, get_family
from timedistill_hf.teachers.combined import SeveralTeachers, validation_weighted
from timedistill_hf.training.arguments import TimeDistillTrainingArguments


NAMES = ("patchtst", "itransformer", "informer")


def members(*names):
    return [tiny_teacher(name) for name in names or NAMES]


def with_calendar():
    return Teacher(tiny_informer(num_time_features=5), get_family("informer"))


def test_the_signal_is_the_weighted_mean_and_all_features():
    teachers, weights = members(), (0.5, 0.3, 0.2)
    several = SeveralTeachers(teachers, weights)
    x, mask = torch.randn(4, CONTEXT, CHANNELS), torch.rand(4, CONTEXT, CHANNELS) > 0.2
    inputs = {"past_values": torch.where(mask, x, 0.0), "past_observed_mask": mask}
    signals = [teacher(**inputs) for teacher in teachers]
    found = several(**inputs)
    expected = sum(w * signal.prediction_outputs.double() for w, signal in zip(weights, signals, strict=True))
    assert torch.allclose(found.prediction_outputs.double(), expected, atol=1e-6)
    start = 0
    for signal in signals:
        assert torch.equal(found.feature[..., start : start + signal.feature.shape[-1]], signal.feature)
        start += signal.feature.shape[-1]
    assert start == found.feature.shape[-1]
    uniform = SeveralTeachers(teachers)(**inputs).prediction_outputs
    assert torch.allclose(uniform, torch.stack([s.prediction_outputs for s in signals]).mean(dim=0), atol=1e-6)
    assert several.name == "patchtst + itransformer + informer"
    assert several.prediction_length == HORIZON
    assert several.about()["mix"] == {"members": list(NAMES), "weights": [0.5, 0.3, 0.2]}


def test_they_are_frozen_for_good():
    several = SeveralTeachers(members()).train()
    assert not any(module.training for module in several.modules())
    assert not any(parameter.requires_grad for parameter in several.parameters())
    signal = several(past_values=torch.randn(2, CONTEXT, CHANNELS, requires_grad=True))
    assert not signal.prediction_outputs.requires_grad
    assert not signal.feature.requires_grad


def test_members_without_a_feature_are_left_out():
    teachers = members("patchtst", "itransformer")
    x = torch.randn(2, CONTEXT, CHANNELS)
    alone = teachers[1](past_values=x).feature
    without = [Teacher(tiny_patchtst(), _FeaturelessFamily()) for _ in range(2)]
    assert torch.equal(SeveralTeachers([without[0], teachers[1]])(past_values=x).feature, alone)
    assert SeveralTeachers(without)(past_values=x).feature is None


class _FeaturelessFamily(type(get_family("patchtst"))):
    def signal(self, *args, **kwargs):
        return TeacherSignal(super().signal(*args, **kwargs).prediction_outputs)


class _StrictFamily(type(get_family("patchtst"))):
    def signal(self, model, past_values, past_observed_mask=None):
        return super().signal(model, past_values, past_observed_mask)


def test_the_calendar_is_only_for_members_that_need_it(data):
    strict = Teacher(tiny_patchtst(), _StrictFamily())
    informer = with_calendar()
    several = SeveralTeachers([strict, informer])
    assert several.num_time_features == 5
    item = data.with_time_features().train[7]
    inputs = {name: value.unsqueeze(0) for name, value in item.items() if name != "future_values"}
    expected = (
        strict(past_values=inputs["past_values"]).prediction_outputs + informer(**inputs).prediction_outputs
    ) / 2
    assert torch.allclose(several(**inputs).prediction_outputs, expected, atol=1e-6)
    several.check_time_features(5)
    with pytest.raises(
        InputError, match=r"teacher 2 of 2: the teacher \(informer\) needs 5 calendar features.*offer 0"
    ):
        several.check_time_features(0)
    assert SeveralTeachers([strict]).num_time_features == 0
    other = Teacher(tiny_informer(num_time_features=4), get_family("informer"))
    with pytest.raises(InputError, match=r"different calendar features \(informer 5, informer 4\)"):
        SeveralTeachers([strict, informer, other])


def test_what_does_not_fit_names_the_member():
    several = SeveralTeachers(members("itransformer", "patchtst"))
    several.check_fits(CONTEXT, HORIZON, CHANNELS)
    with pytest.raises(InputError, match=r"teacher 1 of 2: the teacher \(itransformer\) has context_length=48.* 96"):
        several.check_fits(96, HORIZON, CHANNELS)
    with pytest.raises(InputError, match=r"teacher 2 of 2: the teacher \(patchtst\) was trained on 3 channels"):
        several.check_fits(CONTEXT, HORIZON, 7)
    with pytest.raises(InputError, match=r"teacher 1 of 2: .*teacher\.cut\(8\)"):
        several.check_fits(CONTEXT, 8, CHANNELS)


@pytest.mark.parametrize("weights", [[0.5], [0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0], [float("inf"), 0.0]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(InputError, match=r"weights=.* of 2 teachers: expected one each, 0 or more, 1 in all"):
        SeveralTeachers(members("itransformer", "patchtst"), weights)


def test_members_must_forecast_the_same():
    with pytest.raises(InputError, match="no teachers: give one or more"):
        SeveralTeachers([])
    one, other = members("itransformer", "patchtst")
    with pytest.raises(
        InputError, match=r"teacher 2 of 2 \(patchtst\) forecasts 6 steps, the first.* 16.*teacher\.cut"
    ):
        SeveralTeachers([one, other.cut(6)])


def test_other_members_weights_or_cuts_are_another_fingerprint(data):
    def fingerprint(teachers, weights=None):
        return plan_store(SeveralTeachers(teachers, weights), data.train).fingerprint

    teachers = members("itransformer", "patchtst")
    prints = [
        fingerprint(teachers),
        fingerprint(teachers, [0.4, 0.6]),
        fingerprint(teachers[::-1]),
        fingerprint(teachers[:1]),
        fingerprint([teacher.cut(6) for teacher in teachers]),
        plan_store(teachers[0], data.train).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(members("itransformer", "patchtst")) == prints[0]
    # weights are computed from forecasts, so that their last digits are the processor's
    assert fingerprint(teachers, [0.4 + 1e-9, 0.6 - 1e-9]) == prints[1] != fingerprint(teachers, [0.401, 0.599])


def test_the_store_holds_the_live_signal(data, tmp_path):
    several = SeveralTeachers([*members("itransformer"), with_calendar()], [0.25, 0.75])
    windows = data.with_time_features().train
    stored = store_signal(several, windows, tmp_path)
    assert stored.layout.teacher == "itransformer + informer"
    for index in (0, 100, 176):
        inputs = {name: v.unsqueeze(0) for name, v in windows[index].items() if name != "future_values"}
        live = several(**inputs)
        assert torch.allclose(stored[index]["teacher_prediction_outputs"], live.prediction_outputs[0], atol=1e-5)
        assert torch.allclose(stored[index]["teacher_feature"], live.feature[0], atol=1e-5)


def test_a_student_is_trained_live_and_stored_alike(data, student_config, tmp_path):
    several = SeveralTeachers(members())
    runs = []
    for teacher, windows in ((several, data.train), (None, store_signal(several, data.train, tmp_path / "store"))):
        torch.manual_seed(3)
        args = TimeDistillTrainingArguments(str(tmp_path / "out"), max_steps=3, disable_tqdm=True, report_to="none")
        arguments = data.for_trainer() | {"train_dataset": windows}
        trainer = TimeDistillTrainer(TimeDistillForPrediction(student_config), args, teacher=teacher, **arguments)
        assert (
            trainer.regressor[0].in_features
            == several(past_values=torch.zeros(1, CONTEXT, CHANNELS)).feature.shape[-1]
        )
        runs.append(trainer.train().training_loss)
    assert runs[0] == pytest.approx(runs[1], rel=1e-4)


def test_they_are_scored_as_one(data):
    several = SeveralTeachers(members("itransformer", "patchtst"))
    score = score_models({"teacher": (several, data)}, batch_size=16)["teacher"]
    errors = [
        (several(past_values=item["past_values"].unsqueeze(0)).prediction_outputs[0] - item["future_values"]).square()
        for item in (data.test[index] for index in range(len(data.test)))
    ]
    assert score["mse"] == pytest.approx(torch.stack(errors).mean().item(), rel=1e-5)
    assert score["parameters"] == sum(p.numel() for member in several.members for p in member.parameters())
    assert teacher_against_naive(several, data.validation, 24)[0] > 0


def test_weights_from_validation_are_the_best_there(data, caplog):
    caplog.set_level("INFO", logger="timedistill_hf")
    teachers = [*members("patchtst", "itransformer"), with_calendar()]
    several = validation_weighted(teachers, data)
    windows = data.with_time_features().validation

    def mse(teacher):
        return score_mse(teacher, windows)

    best = mse(several)
    assert sum(several.weights) == pytest.approx(1)
    assert best <= min(mse(teacher) for teacher in teachers) + 1e-6
    for k in range(3):
        for direction in (0.02, -0.02):
            nudged = torch.tensor(several.weights, dtype=torch.float64)
            nudged[k] = (nudged[k] + direction).clamp(min=0)
            nudged /= nudged.sum()
            assert mse(SeveralTeachers(teachers, nudged.tolist())) >= best - 1e-6
    for teacher in teachers:
        assert any(teacher.name in line and f"{mse(teacher):.4f}" in line for line in caplog.text.splitlines())
    assert f"{best:.4f}" in caplog.text
    pulled = validation_weighted(teachers, data, shrinkage=1e6)
    assert pulled.weights == pytest.approx([1 / 3] * 3, abs=1e-4)


def score_mse(teacher, windows):
    errors = []
    for index in range(len(windows)):
        inputs = {name: value.unsqueeze(0) for name, value in windows[index].items()}
        truth = inputs.pop("future_values")
        errors.append((teacher(**inputs).prediction_outputs - truth).double().square())
    return torch.cat(errors).mean().item()


def test_no_teacher_is_told_the_future(data, tmp_path):
    seen = []
    teacher = tiny_teacher("itransformer")
    teacher.register_forward_pre_hook(lambda module, args, kwargs: seen.append(set(kwargs)), with_kwargs=True)
    several = validation_weighted([teacher, with_calendar()], data)
    store_signal(several, data.with_time_features().train, tmp_path)
    assert seen
    assert set().union(*seen) <= {"past_time_features", "future_time_features", "past_values", "past_observed_mask"}


def test_weighting_refuses_what_cannot_be_weighed(data):
    broken = tiny_teacher("itransformer")
    with torch.no_grad():
        broken.model.projection.bias.fill_(torch.nan)
    with pytest.raises(InputError, match=r"teacher 2 of 2 \(itransformer\) forecasts NaN or infinite"):
        validation_weighted([*members("patchtst"), broken], data)
    with pytest.raises(InputError, match=r"teacher 2 of 2: .*was trained on 2 channels"):
        validation_weighted(
            [*members("patchtst"), Teacher(tiny_patchtst(num_input_channels=2), get_family("patchtst"))], data
        )
