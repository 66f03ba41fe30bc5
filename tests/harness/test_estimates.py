import dataclasses

import pytest

from benchmarks.harness import estimates
from benchmarks.harness.estimates import Estimator, in_all
from benchmarks.harness.plan import make_plan
from benchmarks.harness.results import Result
from tests.harness.helper import finished, matrix_of, pretending


TEXT = """
blocks:
  main:
    dataset: [a, b]
    prediction_length: [10]
    seed: [1]
    teachers: [[patchtst], [informer]]
    flags: {recipe: best, context_length: 20, hidden_size: 4, step_limit: 50, series_per_batch: 24}
    variants: {wide: {hidden_size: 8}}
"""


@pytest.fixture
def cells(tmp_path):
    return {cell.name: cell for cell in matrix_of(tmp_path, TEXT).cells}


@pytest.fixture
def estimator():
    return Estimator({"a": (129, 3), "b": (229, 6)})


TRAINED = 3 * 50 * 8  # of recipe best with the flags above: forwards and backwards, 50 steps of 8 windows
CELL = 2 * (TRAINED + 100) * 3 * 30  # two models that are trained by steps, 100 windows of 3 channels


def test_cost_counts_the_series_that_models_see(cells, estimator):
    assert estimator.cost(cells["a-10-best-patchtst-seed1"]) == CELL
    assert estimator.cost(cells["b-10-best-patchtst-seed1"]) == 2 * (3 * 50 * 4 + 200) * 6 * 30
    assert Estimator({}).cost(cells["a-10-best-patchtst-seed1"]) == 0


def test_few_windows_need_fewer_steps_than_the_limit(cells):
    """Six epochs of two batches are all that recipe best makes of 16 windows."""
    assert Estimator({"a": (45, 3)}).cost(cells["a-10-best-patchtst-seed1"]) == 2 * (3 * 12 * 8 + 16) * 3 * 30


def test_a_teacher_costs_its_familys_epochs_or_its_own_steps(cells, estimator):
    teacher = cells["b-10-best-patchtst-seed1"].teachers[0]
    assert estimator.cost(teacher) == (3 * 6 * 200 + 200) * 6 * 30  # PatchTST's six epochs
    shorter = dataclasses.replace(teacher, flags={"max_steps": 7, "series_per_batch": 24, "context_length": 20})
    assert estimator.cost(shorter) == (3 * 7 * 4 + 200) * 6 * 30


def test_a_student_of_one_form_is_trained_twice(tmp_path):
    text = TEXT.replace("recipe: best", "recipe: paper, max_steps: 10, per_device_train_batch_size: 16")
    cell = matrix_of(tmp_path, text.replace(", step_limit: 50, series_per_batch: 24", "")).cells[0]
    assert Estimator({"a": (129, 3)}).cost(cell) == 2 * (3 * 10 * 16 + 100) * 3 * 30


def test_first_guesses(cells, estimator):
    cell = cells["a-10-best-informer-seed1"]
    assert estimator.seconds(cell) == pytest.approx(CELL * estimates.SECONDS_PER_STEP)
    assert estimator.seconds(cell.teachers[0]) == pytest.approx(estimator.cost(cell.teachers[0]) * 8e-7)


def test_finished_cells_of_the_variant_give_the_rate(cells, estimator):
    larger = estimator.cost(cells["b-10-best-patchtst-seed1"]) / CELL
    estimator.measured(cells["a-10-best-patchtst-seed1"], 10.0)
    assert estimator.seconds(cells["b-10-best-patchtst-seed1"]) == pytest.approx(10 * larger)
    assert estimator.seconds(cells["a-10-best-informer-seed1"]) == pytest.approx(10)
    assert estimator.seconds(cells["a-10-wide-patchtst-seed1"]) == pytest.approx(CELL * estimates.SECONDS_PER_STEP)
    estimator.measured(cells["a-10-best-informer-seed1"], 30.0)
    assert estimator.seconds(cells["b-10-best-informer-seed1"]) == pytest.approx(30 * larger)
    assert estimator.seconds(cells["b-10-best-patchtst-seed1"]) == pytest.approx(10 * larger)
    estimator.measured(cells["b-10-best-patchtst-seed1"], 20.0)
    assert estimator.seconds(cells["a-10-best-patchtst-seed1"]) == pytest.approx(30 / (1 + larger))


def test_finished_teachers_of_the_family_give_the_rate(cells, estimator):
    one, other = (cells[f"{name}-10-best-informer-seed1"].teachers[0] for name in "ab")
    estimator.measured(one, 7.0)
    assert estimator.seconds(other) == pytest.approx(7 * estimator.cost(other) / estimator.cost(one))
    patchtst = cells["a-10-best-patchtst-seed1"].teachers[0]
    assert estimator.seconds(patchtst) == pytest.approx(estimator.cost(patchtst) * 1.9e-7)


def test_what_is_not_known_teaches_nothing(cells):
    estimator = Estimator({"b": (229, 6)})
    before = estimator.seconds(cells["b-10-best-patchtst-seed1"])
    estimator.measured(cells["a-10-best-patchtst-seed1"], 1000.0)
    assert estimator.seconds(cells["b-10-best-patchtst-seed1"]) == before


def test_in_all():
    assert in_all([5, 1, 1, 1], 1) == 8
    assert in_all([5, 1, 1, 1], 2) == 5
    assert in_all([1, 1, 1, 5], 2) == 6
    assert in_all([], 2) == 0


def test_the_plan_learns_from_results_and_says_what_is_left(tmp_path, cells, monkeypatch):
    places = pretending(tmp_path)
    own = [cells[name] for name in ("a-10-best-patchtst-seed1", "b-10-best-patchtst-seed1")]
    about = {"rows": {"train": [0, 129]}, "columns": ["x", "y", "z"], "note": ""}
    finished(own[0], places.results, {"student": 1.0}, seconds=12.0, data=about)
    assert Result.read(places.result(own[0])).size == (129, 3)
    monkeypatch.setattr("benchmarks.harness.plan.load_sizes", lambda left, data_dir: {"b": (229, 6)})
    plan = make_plan(own, places)
    lines = [" ".join(line.replace("|", " ").split()) for line in plan.table(1).splitlines()]
    assert "a-10-best-patchtst-seed1 done 12" in lines
    larger = 12 * plan.estimator.cost(own[1]) / plan.estimator.cost(own[0])
    assert f"b-10-best-patchtst-seed1 to do {larger:.0f}" in lines
    seconds = larger + sum(plan.estimator.cost(cell.teachers[0]) for cell in own) * 1.9e-7
    assert lines[-1].startswith("1 cells and 2 teachers to do, 1 cells done; estimated")
    assert f"estimated {seconds:.0f} s on 1 lane" in lines[-1]
    assert plan.commands().count("scripts/distill.py") == 2
