"""Data of very many channels: the same step, in parts; the same scores, in smaller batches."""

import pytest
import torch
from transformers import set_seed

from tests.conftest import CHANNELS
from timedistill_hf import ForecastTrainer, ForecastTrainingArguments, TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.data import windows
from timedistill_hf.evaluation.evaluate_model import evaluate_model
from timedistill_hf.training.derived import within_memory


@pytest.mark.parametrize(
    ("batch", "channels", "parts", "evaluated"),
    [
        (32, 7, (32, 1), 64),
        (32, 321, (16, 2), 18),
        (32, 862, (4, 8), 6),
        (8, 862, (4, 2), 6),
        (6, 2500, (2, 3), 2),
        (7, 2500, (1, 7), 2),
        (4, 10**6, (1, 4), 1),
    ],
)
def test_a_step_keeps_its_windows(tmp_path, batch, channels, parts, evaluated):
    args = ForecastTrainingArguments(str(tmp_path), per_device_train_batch_size=batch, gradient_accumulation_steps=2)
    found = within_memory(args, channels)
    assert type(found) is ForecastTrainingArguments
    assert (found.per_device_train_batch_size, found.gradient_accumulation_steps) == (parts[0], 2 * parts[1])
    assert found.per_device_eval_batch_size == evaluated
    assert parts[0] * channels <= 6_000 or parts[0] == 1


def test_weights_and_scores_are_the_same(data, tmp_path, monkeypatch):
    """Trained in parts of two windows, scored in batches of four, against all at once."""

    def train(name: str) -> tuple[dict, dict, list]:
        set_seed(3)
        model = TimeDistillForPrediction(TimeDistillConfig(**data.shape, hidden_size=8, hidden_norm="layernorm"))
        args = ForecastTrainingArguments(
            str(tmp_path / name), per_device_train_batch_size=8, max_steps=3, use_cpu=True, disable_tqdm=True,
            eval_strategy="no", save_strategy="no", load_best_model_at_end=False, max_grad_norm=0.0, optim="sgd",
        )  # fmt: skip
        sizes = []
        model.register_forward_pre_hook(
            lambda _, __, inputs: sizes.append(len(inputs["past_values"])), with_kwargs=True
        )
        trainer = ForecastTrainer(model, within_memory(args, CHANNELS), **data.for_trainer())
        trainer.train()
        sizes.append("evaluation")
        scores = evaluate_model(model, data, data.test)
        return model.state_dict(), scores, sizes

    weights, scores, sizes = train("whole")
    assert sizes[:4] == [8, 8, 8, "evaluation"]
    monkeypatch.setattr(windows, "MAX_SERIES", 4 * CHANNELS)
    parts, scored, few = train("parts")
    assert few[:13] == [4] * 6 + ["evaluation"] + [4] * 6
    for name, value in weights.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-5)
    assert scored["mse"] == pytest.approx(scores["mse"], rel=1e-4)
    assert scored["units"] == pytest.approx(scores["units"], rel=1e-4)
