"""Mixed windows in training: the teacher labels them, live or stored; nothing else counts there."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from torch.utils.data import Subset, default_collate

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_informer, tiny_teacher
from tests.scripts_helper import fails, generated_csv, run
from timedistill_hf import TimeDistillForPrediction, TimeDistillTrainer, TimeDistillTrainingArguments
from timedistill_hf.cli.settings import DistillSettings
from timedistill_hf.data import SplitSpec, load_series, make_windows, synthetic_series
from timedistill_hf.data.mixed import WithMixedWindows
from timedistill_hf.errors import InputError
from timedistill_hf.objective import multi_period_loss, multi_scale_loss
from timedistill_hf.student.losses_timedistill import forecast_loss
from timedistill_hf.teachers import Teacher, get_family, load_teacher
from timedistill_hf.teachers.quality import teacher_against_naive
from timedistill_hf.teachers.store import plan_store, store_signal


@pytest.fixture(params=[0.0, 0.1], ids=["complete", "missing"])
def windows(request):
    """177 train windows; of a series with holes, or without."""
    series = synthetic_series(400, CHANNELS)
    generator = torch.Generator().manual_seed(0)
    series.values[torch.rand(series.values.shape, generator=generator) < request.param] = torch.nan
    return make_windows(series, CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80))).train


@pytest.mark.parametrize("name", ["itransformer", "patchtst"])
def test_the_stored_labels_are_the_teachers_of_the_mixed_look_back(name, windows, tmp_path):
    teacher = tiny_teacher(name)
    both = WithMixedWindows(windows, 0.5, 11)
    stored = store_signal(teacher, both, tmp_path)
    assert len(stored) == 177 + 88
    values, first = windows.values.numpy(), windows.first_origin
    for index in range(0, 88, 20):
        (a, b), lam = both.mixed.pairs[index] + first, both.mixed.lam[index]
        past = lam * values[a - CONTEXT : a] + (1 - lam) * values[b - CONTEXT : b]
        inputs = {}
        if windows.observed is not None:
            observed = windows.observed.numpy()
            observed = observed[a - CONTEXT : a] & observed[b - CONTEXT : b]
            past = np.where(observed, past, 0.0)
            inputs["past_observed_mask"] = torch.tensor(observed)[None]
        signal = teacher(torch.tensor(past, dtype=torch.float32)[None], **inputs)
        item = stored[177 + index]
        torch.testing.assert_close(item["teacher_prediction_outputs"], signal.prediction_outputs[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(item["teacher_feature"], signal.feature[0], atol=1e-5, rtol=0)
        assert not item["future_observed_mask"].any()


def arguments(folder, **overrides):
    settings = {
        "max_steps": 6, "learning_rate": 0.01, "logging_strategy": "steps", "logging_steps": 1, "disable_tqdm": True,
        "report_to": "none", "per_device_train_batch_size": 16, "eval_strategy": "no", "save_strategy": "no",
        "load_best_model_at_end": False,
    }  # fmt: skip
    return TimeDistillTrainingArguments(str(folder), **(settings | overrides))


def test_live_and_stored_give_the_same_losses(windows, teacher, student_config, tmp_path):
    both = WithMixedWindows(windows, 0.5, 11)
    logs = []
    for signal, given in ((both, teacher), (store_signal(teacher, both, tmp_path / "store"), None)):
        torch.manual_seed(3)
        student = TimeDistillForPrediction(student_config)
        trainer = TimeDistillTrainer(student, arguments(tmp_path), teacher=given, train_dataset=signal)
        trainer.train()
        logs.append([entry for entry in trainer.state.log_history if "loss_supervised" in entry])
    assert len(logs[0]) == len(logs[1]) == 6
    for live, stored in zip(*logs, strict=True):
        for name in (name for name in live if "loss" in name):
            assert live[name] == pytest.approx(stored[name], rel=1e-4, abs=1e-6), name


def gradients(student, loss):
    student.zero_grad()
    loss.backward()
    return {
        name: parameter.grad.clone() for name, parameter in student.named_parameters() if parameter.grad is not None
    }


def test_only_the_teacher_counts_in_a_batch_of_mixed_windows(windows, teacher, student, tmp_path):
    both = WithMixedWindows(windows, 0.5, 11)
    trainer = TimeDistillTrainer(
        student, arguments(tmp_path, alpha=0.7, beta=0.0), teacher=teacher, train_dataset=both
    )
    batch = default_collate([both[index] for index in range(177, 177 + 16)])
    seen = {name: tensor for name, tensor in batch.items() if name.startswith("past")}
    student.train()
    found = gradients(student, trainer.compute_loss(student, dict(batch)))
    assert trainer._term_sums["supervised"] == 0

    forecast, taught = student(**seen).prediction_outputs, teacher(**seen).prediction_outputs
    scale = multi_scale_loss(forecast, taught, 3, dim=1)
    expected = gradients(student, 0.7 * (scale + multi_period_loss(forecast, taught, 0.5, dim=1)))
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert gradient.isfinite().all()
        torch.testing.assert_close(gradient, expected[name], msg=name)
    assert max(gradient.abs().max() for gradient in found.values()) > 0


def test_the_supervised_mean_is_over_the_real_windows_of_a_batch(windows, teacher, student, tmp_path):
    both = WithMixedWindows(windows, 0.5, 11)
    trainer = TimeDistillTrainer(
        student, arguments(tmp_path, alpha=0.7, beta=0.0), teacher=teacher, train_dataset=both
    )
    student.eval()  # without batch statistics, in which all windows have a part
    student.training = True
    batch = default_collate([both[index] for index in (3, 180, 50, 190, 200)])
    trainer.compute_loss(student, dict(batch))
    real = [windows[3], windows[50]]
    with torch.no_grad():
        squared = [
            (student(**{name: v[None] for name, v in item.items() if name.startswith("past")}).prediction_outputs[0]
             - item["future_values"]).square()[item.get("future_observed_mask", ...)].flatten()
            for item in real
        ]  # fmt: skip
    torch.testing.assert_close(trainer._term_sums["supervised"], torch.cat(squared).mean())


@pytest.mark.parametrize(
    ("kind", "frequency_weight", "horizon_weighting"),
    list(itertools.product(("mse", "mae"), (0.0, 0.5, 1.0), ("none", "early", "late"))),
)
def test_without_any_truth_every_supervised_loss_and_its_gradient_are_0(kind, frequency_weight, horizon_weighting):
    prediction = torch.randn(4, HORIZON, CHANNELS)
    prediction[0] = 0  # where a spectrum's absolute value has no derivative
    prediction.requires_grad_()
    nothing = torch.zeros_like(prediction)
    loss = forecast_loss(prediction, nothing, nothing.bool(), kind, frequency_weight, horizon_weighting)
    loss.backward()
    assert loss == 0
    assert not prediction.grad.any()


def test_the_teacher_is_held_against_naive_on_real_windows_only(windows, teacher, tmp_path):
    both = WithMixedWindows(windows, 0.5, 11)
    expected = teacher_against_naive(teacher, windows, 24)
    assert teacher_against_naive(teacher, both, 24, limit=1000) == pytest.approx(expected, rel=1e-6)
    stored = store_signal(teacher, both, tmp_path)
    assert teacher_against_naive(None, stored, 24, limit=1000) == pytest.approx(expected, rel=1e-5)
    positions = np.unique(np.linspace(0, 264, 40).round().astype(int))
    real = Subset(windows, positions[positions < 177].tolist())
    assert teacher_against_naive(teacher, both, 24, limit=40) == pytest.approx(
        teacher_against_naive(teacher, real, 24), rel=1e-6
    )


def test_a_teacher_with_a_calendar_is_refused(data, student, tmp_path):
    informer = Teacher(tiny_informer(num_time_features=5), get_family("informer"))
    both = WithMixedWindows(data.train, 0.5, 0)
    for refused in (
        lambda: store_signal(informer, both, tmp_path),
        lambda: TimeDistillTrainer(student, arguments(tmp_path), teacher=informer, train_dataset=both),
    ):
        with pytest.raises(InputError, match=r"informer.*needs 5 calendar features"):
            refused()


@pytest.mark.parametrize("share", [-0.5, math.nan, math.inf])
def test_the_flag_is_checked(share):
    assert DistillSettings().mixed_windows == 0
    with pytest.raises(InputError, match=f"mixed_windows={share}: expected a number from 0"):
        DistillSettings(mixed_windows=share)


TINY = (
    "--context_length", "48", "--prediction_length", "16", "--disable_tqdm", "true", "--report_to", "none",
    "--hidden_size", "16", "--num_train_epochs", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    return generated_csv(tmp_path_factory.mktemp("csv"), 400)


@pytest.fixture(scope="module")
def teacher_folder(csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    teacher = tiny_teacher("itransformer")
    teacher.model.save_pretrained(folder)
    make_windows(load_series(csv), CONTEXT, HORIZON).processor.save_pretrained(folder)
    return folder


@pytest.fixture
def distill(csv, teacher_folder, tmp_path, monkeypatch):
    """Runs the script; gives its results and, of each distilled student, alpha, training windows and steps."""
    trained = []
    original = TimeDistillTrainer.train

    def train(self, *args, **kwargs):
        output = original(self, *args, **kwargs)
        trained.append((self.args.alpha, len(self.train_dataset), self.state.global_step))
        return output

    monkeypatch.setattr(TimeDistillTrainer, "train", train)

    def distill(name, *flags):
        trained.clear()
        folder = tmp_path / name
        command = ("--dataset", csv, "--teacher", teacher_folder, "--output_dir", folder, *TINY, *flags)
        run(monkeypatch, "distill.py", *command)
        return json.loads((folder / "results.json").read_text()), list(trained)

    return distill


def test_a_run_trains_its_student_on_them_and_records_it(distill, csv, tmp_path):
    real = len(make_windows(load_series(csv), CONTEXT, HORIZON).train)
    flags = ("--mixed_windows", "0.5", "--controls", "student_no_kd", "--recipe", "paper")
    stored, trained = distill("stored", *flags)
    assert stored["settings"]["mixed_windows"] == 0.5
    assert stored["teacher"]["signal"] == "stored"
    windows = real + round(0.5 * real)
    assert trained == [(1.0, windows, -(-windows // 32))]
    control = json.loads((tmp_path / "stored/controls/student_no_kd/history.json").read_text())
    assert control[-1]["step"] == -(-real // 32)

    live, trained = distill("live", *flags, "--teacher_signal", "live")
    assert trained == [(1.0, windows, -(-windows // 32))]
    assert live["models"]["student"]["mse"] == pytest.approx(stored["models"]["student"]["mse"], rel=1e-3)


def test_counted_steps_are_those_of_the_real_windows(distill, tmp_path):
    flags = ("--mixed_windows", "1", "--recipe", "paper", "--step_limit", "1000", "--controls", "student_no_kd")
    _, [(_, windows, steps)] = distill("run", *flags)
    history = json.loads((tmp_path / "run/controls/student_no_kd/history.json").read_text())
    assert steps == history[-1]["step"] == -(-windows // 2 // 32)


def test_a_candidate_without_the_teachers_forecast_is_trained_on_real_windows(distill):
    flags = (
        "--recipe", "best", "--members", "two_branch", "--teacher_weights", "0,1", "1,0", "--mixed_windows", "0.5",
        "--controls", "none",
    )  # fmt: skip
    for signal in ("stored", "live"):
        _, trained = distill(signal, *flags, "--teacher_signal", signal)
        (without, real, _), (with_forecast, windows, _) = trained
        assert (without, with_forecast) == (0.0, 1.0)
        assert windows == real + round(0.5 * real)


def test_without_them_nothing_changes(distill, csv, teacher_folder, tmp_path):
    data = make_windows(load_series(csv), CONTEXT, HORIZON)
    shared = tmp_path / "shared"
    flags = ("--recipe", "paper", "--controls", "none", "--signal_dir", shared)
    _, trained = distill("none", *flags)
    expected = plan_store(load_teacher(str(teacher_folder)), data.train).fingerprint
    assert [path.name for path in shared.iterdir()] == [expected]
    assert [windows for _, windows, _ in trained] == [len(data.train)]
    distill("alpha", *flags, "--alpha", "0", "--mixed_windows", "0.5")
    assert [path.name for path in shared.iterdir()] == [expected]
    stored = store_signal(load_teacher(str(teacher_folder)), data.train, shared)
    assert set(stored[0]) == {"past_values", "future_values", "teacher_prediction_outputs", "teacher_feature"}
    distill("mixed", *flags, "--mixed_windows", "0.5")
    assert len(list(shared.iterdir())) == 2


def test_a_calendar_ends_the_run_before_it_begins(csv, tmp_path, monkeypatch, capsys):
    error = fails(
        monkeypatch, capsys, "distill.py", "--dataset", csv, "--output_dir", tmp_path / "run", *TINY, "--teacher",
        "informer", "--teacher_config", '{"d_model": 8}', "--mixed_windows", "0.5",
    )  # fmt: skip
    assert "--mixed_windows 0.5: the teacher (informer) needs 5 calendar features" in error
    assert not (tmp_path / "run").exists()
