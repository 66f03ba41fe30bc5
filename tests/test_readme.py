"""The Python in the README, run as written."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoModelForTimeSeriesPrediction, Trainer, TrainingArguments

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction, TimeDistillProcessor
from timedistill_hf.data import make_windows, synthetic_series


ROOT = Path(__file__).resolve().parents[1]


def snippets(name: str) -> list[str]:
    return [part.split("```")[0] for part in (ROOT / name).read_text(encoding="utf-8").split("```python\n")[1:]]


def write_csv(path, channels=2, seed=0):
    series = synthetic_series(1500, channels, seed)
    frame = pd.DataFrame(series.values.numpy(), columns=series.columns)
    frame.insert(0, "date", series.timestamps)
    frame.to_csv(path, index=False)


def test_the_first_screen_and_fine_tuning_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_csv("my.csv")
    (first,) = snippets("README.md")
    quick = first.replace('output_dir="runs/python")', 'output_dir="runs/python", step_limit=5, disable_tqdm=True)')
    assert quick != first
    exec(quick, {})
    printed = capsys.readouterr().out
    assert "2020-03-03 12:00:00" in printed
    assert "one linear layer" in printed
    write_csv("my.csv", seed=1)
    _, second, _ = snippets("docs/students.md")
    assert len([line for line in second.splitlines() if line.strip()]) < 10
    exec(second.replace("runs/student", "runs/python"), {})
    tuned = TimeDistillProcessor.from_pretrained("runs/finetuned")
    assert tuned.mean != TimeDistillProcessor.from_pretrained("runs/python").mean


def test_combining_runs():
    students = [TimeDistillForPrediction(TimeDistillConfig(architecture="linear")).eval() for _ in range(2)]
    for number, student in enumerate(students):
        torch.nn.init.constant_(student.backbone.projection.bias, number)
    names = dict(zip(("first", "second"), students, strict=True))
    exec(snippets("docs/students.md")[0], names)
    forecast = names["student"](torch.zeros(1, 720, 1)).prediction_outputs
    torch.testing.assert_close(forecast, torch.full((1, 96, 1), 0.5))


def test_it_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1000


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
    "name", ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))]
)
def test_links_lead_somewhere(name):
    path = ROOT / name
    text = path.read_text(encoding="utf-8")
    assert "_HERE" not in text
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (path.parent / target).exists(), target
