import os
from dataclasses import fields

import pytest
import torch

from timedistill_hf import ForecastTrainingArguments, TimeDistillTrainingArguments
from timedistill_hf._utils.errors import InputError


def test_the_safe_defaults(tmp_path):
    args = TimeDistillTrainingArguments(output_dir=str(tmp_path))
    assert args.label_names == ["future_values"]
    assert args.remove_unused_columns is False
    assert args.metric_for_best_model == "eval_mse"
    assert args.greater_is_better is False
    assert args.load_best_model_at_end
    assert args.restore_callback_states_from_checkpoint
    assert args.ddp_find_unused_parameters is False
    assert args.logging_nan_inf_filter is False
    assert args.use_cpu is not torch.accelerator.is_available()


def test_every_field_has_a_help_text():
    for field in fields(TimeDistillTrainingArguments):
        if field.init:
            assert field.metadata.get("help"), field.name


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"alpha": -0.5}, "alpha=-0.5"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"kl_reduction": "sum"}, "kl_reduction='sum'"),
        ({"loss": "huber"}, "loss='huber'"),
        ({"early_stopping_patience": -1}, "early_stopping_patience=-1"),
        ({"lr_epoch_decay": 0.0}, "lr_epoch_decay=0.0"),
        ({"lr_constant_epochs": -1}, "lr_constant_epochs=-1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"num_scales": -1}, "num_scales=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"per_device_train_batch_size": 0}, "per_device_train_batch_size=0"),
        ({"eval_strategy": "no"}, "eval"),
    ],
)
def test_bad_settings_are_named(tmp_path, setting, message):
    with pytest.raises(InputError, match=message):
        TimeDistillTrainingArguments(output_dir=str(tmp_path), **setting)


def test_processes_that_would_train_apart_are_stopped(tmp_path, monkeypatch):
    args = ForecastTrainingArguments(output_dir=str(tmp_path))
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(InputError, match="2 processes were launched but training sees 1"):
        args.__post_init__()
