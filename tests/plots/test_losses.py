"""Loss terms over time are those of the log."""

import pytest

from tests.plots.helper import line, overlapping_texts
from tests.training.test_trainer import build, new_student
from timedistill_hf.plots import loss_figure


LOG = [
    {"loss": 3.0, "loss_supervised": 1.0, "loss_prediction_scale": 0.5, "loss_prediction_period": 0.0, "step": 10},
    {"eval_mse": 0.9, "eval_mae": 0.8, "step": 10},
    {"loss": 2.0, "loss_supervised": 0.5, "loss_prediction_scale": 0.25, "loss_prediction_period": 0.1, "step": 20},
    {"eval_mse": 0.7, "eval_mae": 0.75, "step": 20},
    {"loss": 1.0, "loss_supervised": 0.4, "loss_prediction_scale": 0.2, "loss_prediction_period": 0.05, "step": 30},
    {"eval_mse": 0.8, "eval_mae": 0.7, "step": 30},
    {"train_runtime": 1.0, "train_loss": 2.0, "step": 30},
]


def test_every_term_by_step_and_the_best_validation_error():
    upper, lower = loss_figure({"student": LOG}).axes
    assert [values.tolist() for values in line(upper, "what is minimised")] == [[10, 20, 30], [3, 2, 1]]
    assert [values.tolist() for values in line(upper, "forecast, multi-scale")] == [[10, 20, 30], [0.5, 0.25, 0.2]]
    # a logarithmic axis has no place for 0
    assert [values.tolist() for values in line(upper, "forecast, multi-period")] == [[20, 30], [0.1, 0.05]]
    assert [values.tolist() for values in line(lower, "validation MSE")] == [[10, 20, 30], [0.9, 0.7, 0.8]]
    assert [values.tolist() for values in line(lower, "lowest validation MSE")] == [[20], [0.7]]
    assert lower.get_title(loc="left") == "lowest MSE 0.7000, step 20"


def test_what_a_trainer_logs_is_drawn(teacher, data, tmp_path):
    trainer = build(new_student(), teacher, data, tmp_path, num_train_epochs=3, beta=0.5)
    trainer.train()
    upper, lower = loss_figure({"student": trainer.state.log_history}).axes
    steps, sums = line(upper, "what is minimised")
    terms = [line(upper, name)[1] for name in ("supervised", "forecast, multi-scale", "forecast, multi-period")]
    features = [line(upper, name)[1] for name in ("feature, multi-scale", "feature, multi-period")]
    assert steps.tolist() == [6, 12, 18]
    assert sums == pytest.approx(sum(terms) + 0.5 * sum(features), rel=1e-3)
    assert len(line(lower, "validation MSE")[0]) == 3


def test_those_with_a_teacher_come_first_and_three_at_most():
    plain = [{"loss": 1.0, "step": 1}, {"loss": 0.5, "step": 2}]
    figure = loss_figure({"a": plain, "b": plain, "c": plain, "taught": LOG})
    assert [axis.get_title(loc="left") for axis in figure.axes[:3]] == ["taught", "a", "b"]
    assert overlapping_texts(figure) == []


def test_long_names_and_terms_that_die_down_stay_readable():
    """Members of recipe best have long names; their period term falls to nothing on a series with one period."""
    form = "residual:revin:core=patch_mixer:hidden_size=64:dropout=0.2, alpha "
    dying = [entry | {"loss_prediction_period": 1e-12} if "loss" in entry else entry for entry in LOG]
    figure = loss_figure({form + "0.5": dying, form + "0": LOG, "teacher": LOG})
    assert overlapping_texts(figure) == []
    upper = figure.axes[0]
    low, high = upper.get_ylim()
    assert low >= 3.0 * 1e-4 / 2
    assert sum(low <= tick <= high for tick in upper.get_yticks()) >= 3


def test_nothing_is_drawn_of_what_logged_nothing():
    assert loss_figure({}) is None
    assert loss_figure({"a": [], "b": LOG[:1], "solved by 0.1.0": [{"input_noise": 0.1, "eval_mse": 1.0}]}) is None
