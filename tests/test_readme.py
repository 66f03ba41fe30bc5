"""The Python in the README, run as written."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoModelForTimeSeriesPrediction, Trainer, TrainingArguments

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction, TimeDistillProcessor
from timedistill_hf.data import make_windows, synthetic_series


README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
SNIPPETS = [part.split("```")[0] for part in README.split("```python\n")[1:]]


def write_csv(path, channels=2, seed=0):
    series = synthetic_series(1500, channels, seed)
    frame = pd.DataFrame(series.values.numpy(), columns=series.columns)
    frame.insert(0, "date", series.timestamps)
    frame.to_csv(path, index=False)


def quick(snippet: str) -> str:
    """The snippet with fewer epochs; everything else as printed."""
    snippet = snippet.replace('"runs/teacher")', '"runs/teacher", num_train_epochs=1, disable_tqdm=True)')
    return snippet.replace("lr_epoch_decay=0.5)", "lr_epoch_decay=0.5, num_train_epochs=1, disable_tqdm=True)")


def test_the_first_screen_and_fine_tuning_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_csv("my.csv")
    first, _, second = SNIPPETS
    assert len([line for line in second.splitlines() if line.strip()]) < 10
    exec(quick(first), {})
    printed = capsys.readouterr().out
    assert "2020-03-03 12:00:00" in printed
    write_csv("my.csv", seed=1)
    exec(second, {})
    tuned = TimeDistillProcessor.from_pretrained("runs/finetuned")
    assert tuned.mean != TimeDistillProcessor.from_pretrained("runs/student").mean


def test_combining_runs():
    students = [TimeDistillForPrediction(TimeDistillConfig(architecture="linear")).eval() for _ in range(2)]
    for number, student in enumerate(students):
        torch.nn.init.constant_(student.backbone.projection.bias, number)
    names = dict(zip(("first", "second"), students, strict=True))
    exec(SNIPPETS[1], names)
    forecast = names["student"](torch.zeros(1, 720, 1)).prediction_outputs
    torch.testing.assert_close(forecast, torch.full((1, 96, 1), 0.5))


@pytest.mark.parametrize("channels", [3, 5])
def test_the_channel_free_form_fine_tunes_on_other_channels(tmp_path, channels):
    config = TimeDistillConfig(
        context_length=48, prediction_length=16, num_input_channels=None, hidden_size=16, hidden_norm="layernorm"
    )
    TimeDistillForPrediction(config).save_pretrained(tmp_path / "student")
    model = AutoModelForTimeSeriesPrediction.from_pretrained(tmp_path / "student")
    data = make_windows(synthetic_series(600, channels), 48, 16)
    args = TrainingArguments(
        str(tmp_path / "tuned"), label_names=["future_values"], eval_strategy="epoch", num_train_epochs=3,
        learning_rate=1e-2, use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(model, args, **data.for_trainer())
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < 0.9 * before
    trainer.save_model()
    assert TimeDistillProcessor.from_pretrained(tmp_path / "tuned").columns == list(data.series.columns)


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "docs/paper.md", "docs/research.md", "docs/results.md"]
)
def test_links_lead_somewhere(name):
    path = Path(__file__).resolve().parents[1] / name
    text = path.read_text(encoding="utf-8")
    assert "_HERE" not in text
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (path.parent / target).exists(), target
