import pytest

from tests.reproduction.helper import finished, matrix_of, pretending
from timedistill_hf.reproduction import estimates
from timedistill_hf.reproduction.estimates import Estimator, in_all
from timedistill_hf.reproduction.plan import make_plan
from timedistill_hf.reproduction.results import Result


TEXT = """
blocks:
  main:
    dataset: [a, b]
    prediction_length: [10]
    seed: [1]
    teachers: [[patchtst], [informer]]
    flags: {recipe: best, context_length: 20, hidden_size: 4}
    variants: {wide: {hidden_size: 8}}
"""


@pytest.fixture
def cells(tmp_path):
    return {cell.name: cell for cell in matrix_of(tmp_path, TEXT).cells}


@pytest.fixture
def estimator():
    return Estimator({"a": (129, 3), "b": (229, 6)})


def test_cost_counts_windows_channels_and_the_students_weights(cells, estimator):
    assert estimator.cost(cells["a-10-best-patchtst-seed1"]) == 100 * 3 * 4 * 30
    assert estimator.cost(cells["a-10-wide-patchtst-seed1"]) == 100 * 3 * 8 * 30
    assert estimator.cost(cells["b-10-best-patchtst-seed1"]) == 200 * 6 * 4 * 30
    assert estimator.cost(cells["b-10-best-patchtst-seed1"].teachers[0]) == 200 * 6 * 30
    assert Estimator({}).cost(cells["a-10-best-patchtst-seed1"]) == 0


def test_first_guesses(cells, estimator):
    cell = cells["a-10-best-informer-seed1"]
    assert estimator.seconds(cell) == pytest.approx(36_000 * estimates.SECONDS_PER_COST)
    assert estimator.seconds(cell.teachers[0]) == pytest.approx(9_000 * 2.7e-5)


def test_a_first_guess_for_etth1_is_what_it_takes(tmp_path):
    text = TEXT.replace("[a, b]", "[etth1]").replace("[10]", "[96]").replace("20, hidden_size: 4", "720")
    cell = matrix_of(tmp_path, text).cells[0]
    assert 60 < Estimator({"etth1": (8640, 7)}).seconds(cell) < 300


def test_finished_cells_of_the_variant_give_the_rate(cells, estimator):
    estimator.measured(cells["a-10-best-patchtst-seed1"], 10.0)
    assert estimator.seconds(cells["b-10-best-patchtst-seed1"]) == pytest.approx(10 * 4)
    assert estimator.seconds(cells["a-10-best-informer-seed1"]) == pytest.approx(10)
    assert estimator.seconds(cells["a-10-wide-patchtst-seed1"]) == pytest.approx(72_000 * estimates.SECONDS_PER_COST)
    estimator.measured(cells["a-10-best-informer-seed1"], 30.0)
    assert estimator.seconds(cells["b-10-best-informer-seed1"]) == pytest.approx(30 * 4)
    assert estimator.seconds(cells["b-10-best-patchtst-seed1"]) == pytest.approx(10 * 4)
    estimator.measured(cells["b-10-best-patchtst-seed1"], 20.0)
    assert estimator.seconds(cells["a-10-best-patchtst-seed1"]) == pytest.approx(30 / 5)


def test_finished_teachers_of_the_family_give_the_rate(cells, estimator):
    estimator.measured(cells["a-10-best-informer-seed1"].teachers[0], 7.0)
    assert estimator.seconds(cells["b-10-best-informer-seed1"].teachers[0]) == pytest.approx(7 * 4)
    assert estimator.seconds(cells["a-10-best-patchtst-seed1"].teachers[0]) == pytest.approx(9_000 * 6.5e-6)


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
    monkeypatch.setattr("timedistill_hf.reproduction.plan.load_sizes", lambda left, data_dir: {"b": (229, 6)})
    plan = make_plan(own, places)
    lines = [" ".join(line.replace("|", " ").split()) for line in plan.table(1).splitlines()]
    assert "a-10-best-patchtst-seed1 done 12" in lines
    assert "b-10-best-patchtst-seed1 to do 48" in lines
    seconds = 200 * 6 * 30 * 6.5e-6 + 100 * 3 * 30 * 6.5e-6 + 48
    assert lines[-1].startswith("1 cells and 2 teachers to do, 1 cells done; estimated")
    assert f"estimated {seconds:.0f} s on 1 lane" in lines[-1]
    assert plan.commands().count("scripts/distill.py") == 2
