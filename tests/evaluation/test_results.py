"""Results are one record, whatever wrote them, and go to JSON and back unchanged."""

import json
import math

import pytest

from tests.cards.helper import ROOT, results
from timedistill_hf._utils.errors import InputError
from timedistill_hf.evaluation.results import VERSION, Results


def committed() -> list:
    paths = sorted((ROOT / "benchmarks/results").rglob("*.json"))
    return [path for path in paths if "models" in json.loads(path.read_text(encoding="utf-8"))]


def test_committed_results_are_read_and_come_back_as_they_were():
    assert len(committed()) > 100
    for path in committed():
        content = json.loads(path.read_text(encoding="utf-8"))
        again = json.loads(json.dumps(Results.from_json(path).to_dict()))
        assert again["models"] == content["models"], path
        if "student" in content["models"]:
            assert again == content | {"version": VERSION}, path


def test_fields_have_types_and_order(tmp_path):
    content = results()
    content["models"]["linear"]["units"]["mase"] = None
    found = Results.from_dict(content | {"models": dict(reversed(content["models"].items())), "mine": 1})
    assert found.student.mse == content["models"]["student"]["mse"]
    assert found.student.latency["32"].low == content["models"]["student"]["latency"]["32"]["low"]
    assert math.isnan(found.models["linear"].units.mase)
    assert found.roles == ["student", "student_no_kd", "teacher", "linear", "seasonal_naive"]
    assert found.data.rows["test"] == [4800, 6000]
    assert found.teacher.name == "itransformer"
    assert found.other == {"mine": 1}
    found.to_json(tmp_path / "results.json")
    written = json.loads((tmp_path / "results.json").read_text())
    assert written == content | {"mine": 1, "version": VERSION}
    assert Results.from_json(tmp_path / "results.json").student == found.student


def test_the_leaderboard_has_the_best_first():
    content = results()
    content["models"]["seasonal_naive"]["mse"] = 0.0
    board = Results.from_dict(content).leaderboard()
    assert list(board.columns) == ["model", "MSE", "MAE", "MASE", "parameters", "milliseconds"]
    assert board["model"][0] == "seasonal naive"
    assert board["MSE"].is_monotonic_increasing
    assert board.set_index("model").loc["student", "parameters"] == content["models"]["student"]["parameters"]


def test_a_table_has_a_line_a_model_and_a_dash_for_what_is_not_known():
    rows = Results.from_dict({"models": {"teacher": {"mse": 0.5, "mae": 0.25}}}).table().splitlines()[2:]
    assert [cell.strip() for cell in rows[0].split("|")[1:-1]] == ["teacher", "0.5000", "0.2500", "nan", "-", "-"]


@pytest.mark.parametrize(
    ("members", "alpha", "beta", "signal", "expected"),
    [
        ({}, 1.0, 0.0, "stored", True), ({}, 0.0, 1.0, "stored", True), ({}, 0.0, 0.0, "stored", False),
        ({}, 0.0, 1.0, "stored forecasts", False), ({"a": (0.0, 1.0), "b": (1.0, 0.0)}, 1.0, 1.0, "live", False),
        ({"a": (0.5, 1.0)}, 0.0, 0.0, "live", True),
    ],
)  # fmt: skip
def test_a_student_is_distilled_where_its_teacher_counts(members, alpha, beta, signal, expected):
    candidates = {
        name: {"form": name, "kind": name, "alpha": own, "beta": 0.0, "weight": weight}
        for name, (weight, own) in members.items()
    }
    content = results(settings={"alpha": alpha, "beta": beta}, teacher={"signal": signal}, members=candidates)
    assert Results.from_dict(content).is_distilled == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"), ("[]", "no results of a run"), ('{"sides": []}', "no results of a run"),
        ('{"models": {"student": {"mse": "low", "mae": 1}}}', "no results of a run"),
        ('{"models": {}, "version": 99}', "results of version=99, expected at most"),
    ],
)  # fmt: skip
def test_what_holds_no_results_is_refused(tmp_path, content, said):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"results\.json") as error:
        Results.from_json(path)
    assert said in str(error.value)
