"""What a notebook gives the trainers and functions by mistake: one line that says what was expected."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import TrainingArguments

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_teacher
from timedistill_hf import (
    ForecastTrainer,
    ForecastTrainingArguments,
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
    make_windows,
    train_teacher,
)
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import synthetic_series


@pytest.fixture
def data():
    return make_windows(synthetic_series(400, CHANNELS), CONTEXT, HORIZON)


def student(data):
    return TimeDistillForPrediction(TimeDistillConfig(**data.shape, hidden_size=8))


def test_arguments_of_another_kind(data, tmp_path):
    for trainer, expected in (
        (ForecastTrainer, "ForecastTrainingArguments"),
        (TimeDistillTrainer, "TimeDistillTrainingArguments"),
    ):
        for args in (None, TrainingArguments(str(tmp_path))):
            with pytest.raises(InputError, match=f"args is a {type(args).__name__}: expected {expected}"):
                trainer(student(data), args, **data.for_trainer())


def test_teachers_that_are_none(data, tmp_path):
    args = TimeDistillTrainingArguments(str(tmp_path), report_to="none")
    for teacher in (student(data), "runs/teacher", lambda past_values: past_values):
        with pytest.raises(InputError, match=r"teacher is a .*load_teacher\(FOLDER\)"):
            TimeDistillTrainer(student(data), args, teacher=teacher, **data.for_trainer())


def test_a_fresh_student_for_a_regressor_that_is_there(data, tmp_path):
    """`model_init` makes another student when training begins, of which the regressor would be no part."""
    for beta in (0.0, 1.0):
        args = TimeDistillTrainingArguments(
            str(tmp_path),
            beta=beta,
            max_steps=1,
            report_to="none",
            eval_strategy="no",
            save_strategy="no",
            num_scales=1,
        )
        teacher = tiny_teacher("itransformer")
        common = {"model_init": lambda: student(data), "args": args, "teacher": teacher, **data.for_trainer()}
        if beta:
            with pytest.raises(InputError, match=r"model_init with the feature terms: .* pass beta=0"):
                TimeDistillTrainer(**common)
        else:
            assert np.isfinite(TimeDistillTrainer(**common).train().training_loss)


def test_data_sets_of_lists_and_of_more_columns(data, tmp_path):
    rows = {
        "past_values": np.random.randn(6, CONTEXT, CHANNELS).tolist(),
        "future_values": np.random.randn(6, HORIZON, CHANNELS).tolist(),
        "teacher_prediction_outputs": np.random.randn(6, HORIZON, CHANNELS).tolist(),
        "name": list("abcdef"),
    }
    args = TimeDistillTrainingArguments(
        str(tmp_path), beta=0.0, max_steps=1, report_to="none", eval_strategy="no", save_strategy="no", num_scales=1
    )
    with pytest.raises(InputError, match=r"past_values of the training windows is a list: .*with_format"):
        TimeDistillTrainer(student(data), args, train_dataset=Dataset.from_dict(rows))
    trainer = TimeDistillTrainer(student(data), args, train_dataset=Dataset.from_dict(rows).with_format("torch"))
    assert np.isfinite(trainer.train().training_loss)


def test_a_teachers_arguments_and_its_folder(data, tmp_path):
    args = ForecastTrainingArguments(str(tmp_path / "else"), max_steps=1, report_to="none")
    with pytest.raises(InputError, match="args and learning_rate, max_step: give one or the other"):
        train_teacher("itransformer", data, tmp_path / "teacher", args=args, learning_rate=0.5, max_step=1)
    config = {"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "ffn_dim": 8}
    train_teacher("itransformer", data, tmp_path / "teacher", args=args, config=config)
    assert (tmp_path / "teacher/model.safetensors").is_file()
    assert not (tmp_path / "else").exists()


def test_a_split_as_text(data):
    by_text = make_windows(synthetic_series(400, CHANNELS), CONTEXT, HORIZON, "240,80,80")
    assert by_text.split.train == (0, 240)


def test_a_horizon_of_one_step(tmp_path):
    data = make_windows(synthetic_series(400, CHANNELS), CONTEXT, 1)
    args = TimeDistillTrainingArguments(str(tmp_path), num_scales=0, report_to="none")
    with pytest.raises(InputError, match=r"prediction_length=1 has no period, .*\(alpha=0\)"):
        args.check_lengths(1, None)
    args = TimeDistillTrainingArguments(
        str(tmp_path), alpha=0.0, beta=0.0, max_steps=1, report_to="none", eval_strategy="no", save_strategy="no"
    )
    trainer = ForecastTrainer(student(data), args, **data.for_trainer())
    assert torch.isfinite(torch.tensor(trainer.train().training_loss))
