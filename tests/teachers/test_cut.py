"""A teacher of a longer horizon serves a shorter one by its first steps."""

import pytest
import torch

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_informer, tiny_teacher
from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction, TimeDistillTrainer
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.evaluation.evaluate_model import evaluate_model
from timedistill_hf.signal_store.store import plan_store, store_signal
from timedistill_hf.teachers import FAMILIES, Teacher, get_family
from timedistill_hf.teachers.loading import check_fits, load_teacher_for
from timedistill_hf.training.arguments import TimeDistillTrainingArguments


SHORT = 6
every_family = pytest.mark.parametrize("name", sorted(FAMILIES))


@pytest.fixture(scope="module")
def short_data():
    return make_windows(synthetic_series(400, CHANNELS), CONTEXT, SHORT, SplitSpec(rows=(240, 80, 80)))


def first_steps(full, windows, index):
    """Of the whole forecast, given all of what the model asks for."""
    return full(past_values=windows[index]["past_values"].unsqueeze(0)).prediction_outputs[0, :SHORT]


@every_family
def test_the_signal_is_the_first_steps_live_stored_and_scored(name, short_data, tmp_path):
    full = tiny_teacher(name)
    teacher = full.cut(SHORT)
    teacher.check_fits(**short_data.shape)
    assert (teacher.prediction_length, full.prediction_length) == (SHORT, HORIZON)
    stored = store_signal(teacher, short_data.train, tmp_path)
    for index in (0, 77):
        item = short_data.train[index]
        live = teacher(past_values=item["past_values"].unsqueeze(0))
        expected = first_steps(full, short_data.train, index)
        torch.testing.assert_close(live.prediction_outputs[0], expected)
        torch.testing.assert_close(live.feature, full(past_values=item["past_values"].unsqueeze(0)).feature)
        assert torch.allclose(stored[index]["teacher_prediction_outputs"], expected, atol=1e-5)
        assert torch.allclose(stored[index]["teacher_feature"], live.feature[0], atol=1e-5)
    errors = torch.stack([
        first_steps(full, short_data.test, i) - short_data.test[i]["future_values"]
        for i in range(len(short_data.test))
    ])  # fmt: skip
    score = evaluate_model(teacher, short_data, short_data.test)
    assert score["mse"] == pytest.approx(errors.square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("look_back", [24, CONTEXT])
def test_an_informer_is_not_told_the_calendar_after_the_horizon(look_back):
    """Direct or rolled out: what the longer calendar says of the steps that are cut off changes nothing before."""
    full = Teacher(tiny_informer(look_back, num_time_features=5), get_family("informer"))
    teacher = full.cut(SHORT)
    x, past, future = torch.randn(2, look_back, CHANNELS), torch.randn(2, look_back, 5), torch.randn(2, HORIZON, 5)
    inputs = {"past_values": x, "past_time_features": past}
    whole = full(**inputs, future_time_features=future)
    signal = teacher(**inputs, future_time_features=future[:, :SHORT])
    assert signal.prediction_outputs.shape == (2, SHORT, CHANNELS)
    assert torch.allclose(signal.prediction_outputs, whole.prediction_outputs[:, :SHORT], atol=1e-6)
    hidden = full.model(**inputs, future_time_features=future).last_hidden_state[:, :SHORT]
    projection = full.model.parameter_projection.proj[0]
    assert torch.allclose(signal.feature.sum(dim=-1), (projection(hidden) - projection.bias).mean(dim=1), atol=1e-5)


def test_another_cut_is_another_fingerprint(short_data):
    full = tiny_teacher("patchtst")
    prints = [teacher.fingerprint() for teacher in (full, full.cut(SHORT), full.cut(SHORT - 1))]
    assert len(set(prints)) == 3
    assert full.cut(SHORT).fingerprint() == prints[1]
    assert full.cut(SHORT).cut(HORIZON).fingerprint() == prints[0]
    assert plan_store(full.cut(SHORT), short_data.train) != plan_store(full.cut(SHORT - 1), short_data.train)


def test_a_cut_shares_the_model_and_says_so_once(caplog):
    caplog.set_level("INFO", logger="timedistill_hf")
    full = tiny_teacher("patchtst")
    teacher = full.cut(SHORT)
    assert caplog.messages == ["Teacher patchtst forecasts 16 steps: it is cut to the first 6"]
    assert teacher.model is full.model
    assert teacher.cut(SHORT) is teacher
    assert full.cut(HORIZON) is full
    assert full.cut(HORIZON + 1) is full
    assert len(caplog.messages) == 1


def test_a_loaded_teacher_is_cut_for_the_data(short_data, tmp_path, caplog):
    caplog.set_level("INFO", logger="timedistill_hf")
    full = tiny_teacher("patchtst")
    full.model.save_pretrained(tmp_path)
    short_data.processor.save_pretrained(tmp_path)
    teacher = load_teacher_for(str(tmp_path), short_data)
    x = torch.randn(2, CONTEXT, CHANNELS)
    torch.testing.assert_close(
        teacher(past_values=x).prediction_outputs, full(past_values=x).prediction_outputs[:, :SHORT]
    )
    assert "it is cut to the first 6" in caplog.text
    with pytest.raises(InputError, match=r"\(patchtst\) forecasts 16 steps, its processor 6: save the processor of"):
        check_fits(full, short_data.processor)


def test_wrong_lengths_are_refused_all_the_same(tmp_path):
    full = tiny_teacher("patchtst")
    full.model.save_pretrained(tmp_path)
    spec = SplitSpec(rows=(240, 80, 80))
    for lengths, message in (
        ((CONTEXT, 24), r"has prediction_length=16, the student and its data 24: pass .prediction_length=16"),
        ((40, HORIZON), r"has context_length=48, the student and its data 40: pass .context_length=48"),
        ((40, SHORT), r"has context_length=48, the student and its data 40: pass .context_length=48"),
    ):
        with pytest.raises(InputError, match=message):
            load_teacher_for(str(tmp_path), make_windows(synthetic_series(400, CHANNELS), *lengths, spec))
    with pytest.raises(InputError, match=r"forecasts 16 steps, the student and its data 6: .* with teacher\.cut\(6\)"):
        full.check_fits(CONTEXT, SHORT, CHANNELS)
    with pytest.raises(InputError, match=r"forecasts 6 steps, the student and its data 16: .*teacher\.cut\(16\)"):
        full.cut(SHORT).check_fits(CONTEXT, HORIZON, CHANNELS)
    for steps in (0, -1):
        with pytest.raises(InputError, match=f"prediction_length={steps}.* forecasts 16 steps, expected 1 to 16"):
            full.cut(steps)
    with pytest.raises(InputError, match=r"prediction_length=17.*expected 1 to 16"):
        Teacher(full.model, full.family, 17)


def test_a_student_is_trained_by_a_cut_teacher(short_data, tmp_path):
    config = TimeDistillConfig(
        context_length=CONTEXT, prediction_length=SHORT, num_input_channels=CHANNELS, hidden_size=16
    )
    full = tiny_teacher("itransformer")

    def loss(teacher, windows):
        torch.manual_seed(3)
        args = TimeDistillTrainingArguments(
            str(tmp_path / "out"), max_steps=2, num_scales=1, disable_tqdm=True, report_to="none"
        )
        arguments = short_data.for_trainer() | {"train_dataset": windows}
        trainer = TimeDistillTrainer(TimeDistillForPrediction(config), args, teacher=teacher, **arguments)
        return trainer.train().training_loss

    live = loss(full.cut(SHORT), short_data.train)
    stored = loss(None, store_signal(full.cut(SHORT), short_data.train, tmp_path / "store"))
    assert live == pytest.approx(stored, rel=1e-4)
    with pytest.raises(InputError, match=r"with teacher\.cut\(6\)"):
        loss(full, short_data.train)
