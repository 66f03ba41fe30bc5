"""A card that a Trainer writes is true: of a teacher, of a student, of one that was fine-tuned."""

import copy
import json

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from transformers import Trainer, TrainingArguments

from tests.cards.helper import check_private, run_snippets
from tests.conftest import CHANNELS, CONTEXT, HORIZON, WIDTH, tiny_informer, tiny_patchtst, tiny_teacher
from tests.scripts_helper import generated_csv, run
from timedistill_hf import (
    ForecastTrainer,
    ForecastTrainingArguments,
    ITransformerConfig,
    ITransformerForPrediction,
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillProcessor,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
    store_signal,
)
from timedistill_hf.cards import trainer_card
from timedistill_hf.data import load_series, make_windows
from timedistill_hf.teachers.combined import SeveralTeachers
from timedistill_hf.training.closed_form import ClosedForm


TINY = {"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "ffn_dim": 16}
SHAPE = {"context_length": CONTEXT, "prediction_length": HORIZON, "num_input_channels": CHANNELS}
QUICK = {"num_train_epochs": 2, "disable_tqdm": True, "report_to": "none"}


def read(folder) -> tuple[str, dict]:
    card = ModelCard.load(folder / "README.md", ignore_metadata_errors=False)
    check_private(card.content)
    return card.content, yaml.safe_load(card.content.split("---\n")[1])


def trained(data, folder, model=None, **overrides) -> ForecastTrainer:
    model = model or TimeDistillForPrediction(TimeDistillConfig(**SHAPE, hidden_size=WIDTH))
    args = ForecastTrainingArguments(str(folder), **(QUICK | overrides))
    trainer = ForecastTrainer(model=model, args=args, **data.for_trainer())
    trainer.train()
    return trainer


def distilled(data, folder, teacher, train_dataset=None, **overrides) -> TimeDistillTrainer:
    student = TimeDistillForPrediction(TimeDistillConfig(**SHAPE, hidden_size=WIDTH))
    args = TimeDistillTrainingArguments(str(folder), **(QUICK | overrides))
    arguments = data.for_trainer() | ({"train_dataset": train_dataset} if train_dataset is not None else {})
    return TimeDistillTrainer(model=student, args=args, teacher=teacher, **arguments)


def test_a_distilled_student_names_its_teacher_and_its_validation_error(data, teacher, tmp_path):
    trainer = distilled(data, tmp_path / "student", teacher, alpha=0.5, beta=0.25, hub_token="hf_" + "b" * 34)
    trainer.train()
    trainer.save_model()
    trainer.create_model_card()
    text, metadata = read(tmp_path / "student")
    assert "Distilled from **itransformer**, with the weights alpha 0.5 on its forecast and beta 0.25" in text
    best = min(entry["eval_mse"] for entry in trainer.state.log_history if "eval_mse" in entry)
    assert f"On all validation windows, on standardised values: MSE {best:.4f}" in text
    found = metadata["model-index"][0]["results"][0]
    assert found["dataset"] == {"name": "synthetic", "type": "synthetic", "split": "validation"}
    assert found["metrics"][0]["value"] == pytest.approx(best, abs=5e-6)
    assert trainer.evaluate()["eval_mse"] == pytest.approx(best, rel=1e-5)
    assert f"fingerprint `{data.series.fingerprint()}`" in text
    assert f"{sum(p.numel() for p in trainer.model.parameters()):,} parameters" in text
    assert "fine-tuned version of" not in text
    assert "hf_b" not in text


def test_its_snippets_run(data, teacher, tmp_path, monkeypatch):
    trainer = distilled(data, tmp_path / "student", teacher, max_steps=1)
    trainer.train()
    trainer.save_model()
    trainer.create_model_card()
    text, _ = read(tmp_path / "student")
    monkeypatch.chdir(tmp_path)
    history_of(data).to_csv("history.csv", index=False)
    assert run_snippets(text, "student", tmp_path / "student") == 2


def history_of(data):
    import pandas as pd

    table = pd.DataFrame(data.series.values.numpy(), columns=list(data.series.columns))
    table.insert(0, data.series.timestamp_column, data.series.timestamps)
    return table


def test_the_regressor_is_not_counted_while_it_is_attached(data, teacher, tmp_path):
    trainer = distilled(data, tmp_path, teacher, beta=1.0)
    alone = sum(parameter.numel() for parameter in trainer.model.parameters())
    trainer._attach_regressor()
    assert f"{alone:,} parameters" in trainer.model_card().content


def test_a_stored_signal_knows_its_teacher_and_features_that_are_off_are_not_told(data, tmp_path):
    together = SeveralTeachers([tiny_teacher("patchtst"), tiny_teacher("itransformer")])
    windows = store_signal(together, data.train, tmp_path / "signal")
    part = torch.utils.data.Subset(windows, range(64))
    trainer = distilled(data, tmp_path / "student", None, part, alpha=1.0, beta=0.0)
    text = trainer.model_card("me/x").content
    assert "Distilled from **patchtst + itransformer**" in text
    assert "its feature unused" in text
    foreign = [dict(part[index]) for index in range(4)]
    text = distilled(data, tmp_path / "other", None, foreign, beta=0.0).model_card("me/x").content
    assert "Distilled from a teacher whose stored signal came with the training windows" in text


def test_a_teacher_of_the_hub_is_the_base_model(data, teacher, tmp_path):
    teacher.model.config.name_or_path = "me/teacher"
    metadata = yaml.safe_load(distilled(data, tmp_path, teacher).model_card("me/x").content.split("---\n")[1])
    assert metadata["base_model"] == "me/teacher"
    for place in (str(tmp_path), "", "./me/teacher"):
        teacher.model.config.name_or_path = place
        content = distilled(data, tmp_path, teacher).model_card("me/x").content
        assert "base_model" not in content
        assert place == "" or place not in content


def test_weights_of_zero_are_no_distillation(data, teacher, tmp_path):
    text = distilled(data, tmp_path, teacher, alpha=0.0, beta=0.0).model_card("x").content
    assert "Distilled" not in text
    assert "arxiv.org/abs/2502.15016" not in text


def test_a_test_score_that_was_logged_is_what_counts(data, tmp_path):
    trainer = trained(data, tmp_path / "plain")
    score = trainer.evaluate(data.test, metric_key_prefix="test")
    text = trainer.model_card("me/x").content
    assert f"On all test windows, on standardised values: MSE {score['test_mse']:.4f}" in text
    assert "validation windows, on" not in text


def test_before_training_nothing_is_claimed(data, tmp_path):
    args = ForecastTrainingArguments(str(tmp_path), **QUICK)
    model = TimeDistillForPrediction(TimeDistillConfig(**SHAPE, hidden_size=WIDTH))
    bare = ForecastTrainer(model=model, args=args, train_dataset=data.train, eval_dataset=data.validation)
    text = bare.model_card("me/x").content
    for heading in ("## Lineage", "## Training", "## Results", "model-index", "from timedistill_hf import Forecaster"):
        assert heading not in text
    assert f"{len(data.train)} train windows" in text


def test_fine_tuning_tells_where_it_began(data, tmp_path):
    first = trained(data, tmp_path / "first", max_steps=1)
    first.save_model()
    model = TimeDistillForPrediction.from_pretrained(tmp_path / "first")
    trainer = trained(data, tmp_path / "second", model, max_steps=1)
    trainer.create_model_card(finetuned_from="me/first", tags="mine", dataset_tags="me/data", license="mit")
    text, metadata = read(tmp_path / "second")
    assert "Training continued from a model that was saved before." in text
    assert metadata["base_model"] == "me/first"
    assert metadata["datasets"] == ["me/data"]
    assert metadata["license"] == "mit"
    assert "mine" in metadata["tags"]


def test_push_to_hub_writes_it_with_the_repos_name(data, tmp_path, monkeypatch):
    """The genuine push_to_hub, but for the upload, which tests/hub does."""
    from timedistill_hf.training import forecast_trainer as module

    trainer = trained(data, tmp_path / "student", max_steps=1)
    uploads = []
    monkeypatch.setattr(module, "publish", lambda folder, repo_id, **kwargs: uploads.append((folder, repo_id)))
    trainer.args.hub_model_id = "me/pushed"
    trainer.push_to_hub()
    text, metadata = read(tmp_path / "student")
    assert uploads == [(str(tmp_path / "student"), "me/pushed")]
    assert 'repo = "me/pushed"' in text
    assert metadata["model-index"][0]["name"] == "pushed"


@pytest.mark.parametrize("kind", ["itransformer", "patchtst", "informer"])
def test_a_teachers_card_is_true_for_every_kind_of_class(kind, data, tmp_path, monkeypatch):
    models = {
        "itransformer": lambda: ITransformerForPrediction(ITransformerConfig(**SHAPE, **TINY)),
        "patchtst": tiny_patchtst,
        "informer": tiny_informer,
    }
    trainer = trained(data, tmp_path / kind, models[kind](), max_steps=1)
    trainer.save_model()
    trainer.create_model_card()
    text, metadata = read(tmp_path / kind)
    assert "student" not in text
    assert "TimeDistill" not in text.replace("{TimeDistill}", "")
    assert f" {kind}, " in text
    assert "license" not in metadata, "nobody has chosen one"
    monkeypatch.chdir(tmp_path)
    history_of(data).to_csv("history.csv", index=False)
    assert run_snippets(text, kind, tmp_path / kind) == {"itransformer": 2, "patchtst": 2, "informer": 1}[kind]


def test_train_teacher_writes_a_card_with_the_test_error(tmp_path, monkeypatch):
    csv = generated_csv(tmp_path, 400)
    run(
        monkeypatch, "train_teacher.py", "--teacher", "itransformer", "--dataset", csv, "--output_dir", tmp_path / "t",
        "--context_length", "48", "--prediction_length", "16", "--teacher_config", json.dumps(TINY), "--max_steps",
        "2", "--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", "false", "--disable_tqdm",
        "true",
    )  # fmt: skip
    text, metadata = read(tmp_path / "t")
    score = json.loads((tmp_path / "t/results.json").read_text())["models"]["teacher"]
    assert metadata["model-index"][0]["results"][0]["dataset"]["split"] == "test"
    assert metadata["model-index"][0]["results"][0]["metrics"][0]["value"] == pytest.approx(score["mse"], abs=5e-6)
    assert "2 steps" in text
    processor = TimeDistillProcessor.from_pretrained(tmp_path / "t")
    assert (processor.dataset, processor.fingerprint) == ("mine", load_series(csv).fingerprint())


def test_transformers_own_trainer_can_have_a_card_too(data, tmp_path):
    model = TimeDistillForPrediction(TimeDistillConfig(**SHAPE, hidden_size=WIDTH))
    args = TrainingArguments(
        str(tmp_path), label_names=["future_values"], max_steps=1, use_cpu=True, disable_tqdm=True
    )
    trainer = Trainer(model, args, **data.for_trainer())
    trainer.train()
    text = trainer_card(trainer, "me/x").content
    assert "1 step (" in text
    assert "## Results" not in text


def test_a_solved_model_has_the_error_of_the_ridge_that_was_taken(data, tmp_path):
    config = TimeDistillConfig(**data.shape, architecture="linear")
    args = ForecastTrainingArguments(str(tmp_path), report_to="none", disable_tqdm=True)
    trainer = ForecastTrainer(TimeDistillForPrediction(config), args, **data.for_trainer())
    ClosedForm(data)(trainer)
    errors = [ridge.validation_mse for ridge in trainer.ridges]
    assert min(errors) < errors[-1]
    text = trainer.model_card("solved").content
    assert f"MSE {min(errors):.4f}" in text
    assert f"MSE {errors[-1]:.4f}" not in text
    assert "Solved in closed form" in text
    assert f"(input_noise {config.input_noise:g})" in text
    assert "They were used to choose the ridge" in text


def test_what_is_saved_is_the_best_step_or_the_last(data, tmp_path):
    trainer = trained(data, tmp_path / "a", num_train_epochs=1)
    args = copy.copy(trainer.args)
    log = [{"eval_mse": 3.0, "step": 1}, {"eval_mse": 1.0, "step": 2}, {"eval_mse": 2.0, "step": 3}]

    def step(**changes):
        from timedistill_hf.cards import Trained

        return Trained(trainer.model.config, args=args, log_history=log, steps=3, **changes).saved_step

    assert step() == 2
    args.greater_is_better = True
    assert step() == 1
    args.load_best_model_at_end = False
    assert step() == 3


def test_the_processor_of_older_models_has_no_data_name(data, tmp_path):
    data.processor.save_pretrained(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    content = json.loads(path.read_text())
    for name in ("dataset", "fingerprint"):
        content.pop(name)
    path.write_text(json.dumps(content))
    assert TimeDistillProcessor.from_pretrained(tmp_path).dataset is None
    assert make_windows(data.series, CONTEXT, HORIZON).processor.dataset == "synthetic"
