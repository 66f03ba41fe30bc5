"""The cards of model_cards/ are those of the committed results, and say their means."""

import json

import pytest
import yaml

from benchmarks.model_cards import MARK, family_cards
from tests.cards.helper import ROOT, check_private, results
from tests.scripts_helper import fails, run


CARDS = ROOT / "model_cards"


def write(folder, name: str, content: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content))


def cell(prediction_length: int, seed: int, mse: float, base: str | None = None, **changes) -> dict:
    content = results(settings={"prediction_length": prediction_length, "seed": seed}, **changes)
    content["models"]["student"]["mse"] = mse
    content["cell"] = {
        "dataset": "etth1", "prediction_length": prediction_length, "variant": "best", "seed": seed, "base": base,
        "teachers": [{"family": "patchtst"}, {"family": "itransformer"}],
    }  # fmt: skip
    return content


def test_the_committed_cards_are_those_of_the_committed_results():
    made = family_cards(ROOT / "benchmarks/results")
    committed = {path.name: path.read_text(encoding="utf-8") for path in CARDS.glob("*.md") if not path.is_symlink()}
    assert set(committed) == set(made)
    for name, card in made.items():
        assert committed[name] == card.content, f"{name}: run python scripts/make_model_cards.py"
        check_private(card.content)
        data = yaml.safe_load(card.content.split("---\n")[1])
        assert data["pipeline_tag"] == "time-series-forecasting"
        assert data["model-index"][0]["name"] == name.removesuffix(".md")


def test_the_template_is_the_packaged_one():
    assert (CARDS / "template.md").resolve() == ROOT / "timedistill_hf/templates/model_card.md"


def test_horizons_and_seeds_of_one_family_are_one_card(tmp_path):
    for horizon, seed, mse in ((96, 1, 0.3), (96, 2, 0.5), (192, 1, 0.6)):
        write(tmp_path / "best", f"etth1-{horizon}-best-patchtst+itransformer-seed{seed}", cell(horizon, seed, mse))
    write(tmp_path, "mine-paper-itransformer-seed1", results())
    write(tmp_path, "step_time", {"sides": []})
    write(tmp_path / "best", "etth1-96-mine-patchtst+itransformer-seed1", cell(96, 1, 0.1, base="etth1-96-best"))
    write(tmp_path / "teachers", "etth1-patchtst", results())
    cards = family_cards(tmp_path)
    assert list(cards) == ["etth1-best-patchtst+itransformer.md", "mine-paper-itransformer.md"]
    text = cards["etth1-best-patchtst+itransformer.md"].content
    metrics = yaml.safe_load(text.split("---\n")[1])["model-index"][0]["results"][0]["metrics"]
    values = {each["args"]["prediction_length"]: each["value"] for each in metrics if each["type"] == "mse"}
    assert values == {96: pytest.approx(0.4), 192: pytest.approx(0.6)}
    assert "mean of 2 seeds" in metrics[0]["name"]
    assert "### 96 steps, seeds 1, 2" in text
    assert "0.4000 (0.3000 to 0.5000)" in text
    assert "### 192 steps, seed 1\n" in text


def test_the_weights_of_several_teachers_are_told(tmp_path):
    mix = {"members": ["a", "b"], "weights": [0.25, 0.75]}
    for seed in (1, 2):
        content = cell(96, seed, 0.3, teacher={"mix": mix})
        content["settings"] |= {"teacher": ["/x/a", "/x/b"], "teacher_mix": "validation"}
        write(tmp_path / "best", f"etth1-96-best-a+b-seed{seed}", content)
    (card,) = family_cards(tmp_path).values()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in card.content.splitlines()]
    assert {("a", "0.250"), ("b", "0.750")} <= {(row[0], row[2]) for row in rows if len(row) > 2}


def test_the_script_changes_nothing_the_second_time_and_removes_what_has_no_results(tmp_path, monkeypatch, capsys):
    write(tmp_path / "results", "mine-paper-itransformer-seed1", results())
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "old.md").write_text(MARK)
    (cards / "by_hand.md").write_text("mine")
    flags = ("--results_dir", tmp_path / "results", "--output_dir", cards, "--root", tmp_path)
    run(monkeypatch, "make_model_cards.py", *flags)
    first = {path.name: path.read_bytes() for path in cards.iterdir()}
    assert set(first) == {"by_hand.md", "mine-paper-itransformer.md"}
    run(monkeypatch, "make_model_cards.py", *flags)
    assert {path.name: path.read_bytes() for path in cards.iterdir()} == first
    write(tmp_path / "results", "broken", {})
    (tmp_path / "results/broken.json").write_text("{")
    assert "broken.json' cannot be read" in fails(monkeypatch, capsys, "make_model_cards.py", *flags)
    assert "is no folder" in fails(monkeypatch, capsys, "make_model_cards.py", "--results_dir", tmp_path / "none")
