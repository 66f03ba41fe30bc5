"""docs/cards_and_plots.md: its links lead somewhere, its Python runs."""

import re

from tests.cards.helper import ROOT, snippets
from tests.conftest import CHANNELS, CONTEXT, HORIZON
from timedistill_hf import ForecastTrainer, ForecastTrainingArguments, TimeDistillConfig, TimeDistillForPrediction


PATH = ROOT / "docs/cards_and_plots.md"
TEXT = PATH.read_text(encoding="utf-8")


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (PATH.parent / target).exists(), target


def test_the_python_runs(data, tmp_path, monkeypatch, capsys):
    load, card = snippets(TEXT)
    monkeypatch.chdir(ROOT)
    exec(load, {})
    assert "load_5" in capsys.readouterr().out
    model = TimeDistillForPrediction(
        TimeDistillConfig(context_length=CONTEXT, prediction_length=HORIZON, num_input_channels=CHANNELS)
    )
    monkeypatch.chdir(tmp_path)
    args = ForecastTrainingArguments("runs/finetuned", report_to="none")
    (tmp_path / "runs/finetuned").mkdir(parents=True)
    exec(card, {"trainer": ForecastTrainer(model=model, args=args, **data.for_trainer())})
    text = (tmp_path / "runs/finetuned/README.md").read_text()
    assert "license: mit" in text
    assert 'repo = "me/my-student"' in text
