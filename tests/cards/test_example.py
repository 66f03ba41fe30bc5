"""The committed tiny student: it loads, forecasts, and is as good today as its card says."""

import json

import pandas as pd
import pytest
import torch
from huggingface_hub import ModelCard

from benchmarks.model_cards import EXAMPLE, EXAMPLE_PLOTS, example_card
from examples.make_tiny_student import write_history
from tests.cards.helper import ROOT, TINY, check_private, snippets
from timedistill_hf import Forecaster, TimeDistillForPrediction, load_series, make_windows


def test_its_test_mse_is_what_the_card_says():
    student = TimeDistillForPrediction.from_pretrained(TINY).eval()
    data = make_windows(load_series("synthetic"), 96, 24)
    results = json.loads((TINY / "results.json").read_text())
    assert data.series.fingerprint() == results["data"]["fingerprint"]
    squared, count = 0.0, 0
    with torch.no_grad():
        for window in data.test:
            forecast = student(past_values=window["past_values"][None]).prediction_outputs[0]
            squared += (forecast - window["future_values"]).double().square().sum().item()
            count += forecast.numel()
    assert squared / count == pytest.approx(results["models"]["student"]["mse"], rel=1e-4)
    card = ModelCard.load(TINY / "README.md", ignore_metadata_errors=False)
    assert card.data.eval_results[0].metric_value == pytest.approx(squared / count, rel=1e-3)


def test_the_card_is_what_the_script_writes():
    text = (TINY / "README.md").read_text(encoding="utf-8")
    assert example_card(ROOT).content == text, "run python scripts/make_model_cards.py"
    check_private(text)
    check_private((TINY / "results.json").read_text())


def test_its_snippets_run_in_the_root_of_the_repository(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    found = snippets((TINY / "README.md").read_text(encoding="utf-8"))
    assert len(found) == 1
    for snippet in found:
        exec(snippet, {})
    printed = capsys.readouterr().out
    assert "2020-09-07" in printed  # 6,000 hours after 2020-01-01


def test_the_history_is_the_end_of_the_generated_series(tmp_path):
    write_history(tmp_path)
    assert (tmp_path / "history.csv").read_bytes() == (TINY / "history.csv").read_bytes()
    forecast = Forecaster.from_pretrained(str(TINY)).predict(pd.read_csv(TINY / "history.csv"))
    assert forecast.shape == (24, 7)


def test_it_is_small_and_holds_no_pickle():
    files = [path for path in TINY.iterdir() if path.is_file() and "__pycache__" not in str(path)]
    assert sum(path.stat().st_size for path in files) < 130_000
    assert {path.suffix for path in files} == {".json", ".safetensors", ".md", ".csv", ".png"}
    assert {path.name for path in files if path.suffix == ".png"} == set(EXAMPLE_PLOTS)
    assert TINY == ROOT / EXAMPLE
