"""Other choices among known candidates, against forecasts whose errors are computed entry by entry."""

import numpy as np
import pytest

from benchmarks.harness.alternatives import alternatives
from benchmarks.harness.results import Result


MEMBERS = {
    "linear-0": {"form": "linear", "kind": "linear", "alpha": 0.0, "beta": 0.0},
    "linear-1": {"form": "linear", "kind": "linear", "alpha": 0.5, "beta": 0.0},
    "cycle-0": {"form": "cycle", "kind": "cycle", "alpha": 0.0, "beta": 0.0},
    "cycle-1": {"form": "cycle", "kind": "cycle", "alpha": 0.5, "beta": 0.0},
}


@pytest.fixture
def errors():
    """By part: errors `[candidates, entries]`; on validation linear-1 and cycle-0 are the better of their form."""
    rng = np.random.default_rng(3)
    scales = np.array([1.0, 0.9, 1.0, 1.3])[:, None]
    return {part: scales * rng.normal(size=(4, 50)) for part in ("validation", "test")}


def result(errors) -> Result:
    products = {part: (each @ each.T / each.shape[1]).tolist() for part, each in errors.items()}
    return Result.from_dict(
        {"models": {}, "members": MEMBERS, "error_products": products, "settings": {"shrinkage": 0.5}}
    )


def best_weights(errors, rows, shrinkage, in_kinds=True):
    """The test error with the weights to which multiplied gradients lead on validation."""
    kinds = np.array([rows[index] // 2 if in_kinds else 0 for index in range(len(rows))])
    same = (kinds[:, None] == kinds).astype(float)
    mean = same / same.sum(axis=1, keepdims=True)
    own = errors["validation"][rows]
    least = (own**2).mean(axis=1).min()
    weights = np.full(len(rows), 1 / len(rows))
    for _ in range(20_000):
        slope = own @ (weights @ own) / own.shape[1] + shrinkage * least * (weights - mean @ weights)
        weights = weights * np.exp(-0.1 * slope)
        weights /= weights.sum()
    return ((weights @ errors["test"][rows]) ** 2).mean()


def test_changes_are_those_of_the_forecasts(errors):
    rows = {row["choice"]: row for row in alternatives([result(errors)])}
    test = errors["test"]
    every = [0, 1, 2, 3]
    base = best_weights(errors, every, 0.5)
    expected = {
        "equal weights": (test.mean(axis=0) ** 2).mean(),
        "no pull towards equal weights": best_weights(errors, every, 0.0),
        "five times the pull": best_weights(errors, every, 2.5),
        "the pull across all kinds": best_weights(errors, every, 0.5, in_kinds=False),
        "the one candidate that is best on validation": (test[1] ** 2).mean(),
        "of each form only the version that is better on validation": best_weights(errors, [1, 2], 0.5),
        "no teacher": best_weights(errors, [0, 2], 0.5),
        "every form with the teacher": best_weights(errors, [1, 3], 0.5),
        "without linear": best_weights(errors, [2, 3], 0.5),
        "without cycle": best_weights(errors, [0, 1], 0.5),
        "linear alone": best_weights(errors, [0, 1], 0.5),
        "cycle alone": best_weights(errors, [2, 3], 0.5),
    }
    for choice, value in expected.items():
        assert rows[choice]["change"] == pytest.approx(100 * (value / base - 1), abs=0.01), choice
    assert set(rows) == set(expected)
    order = [row["validation_change"] for row in rows.values()]
    assert order == sorted(order)


def test_runs_are_averaged_and_others_left_out(errors):
    other = {part: each[[0, 1, 3, 2]] for part, each in errors.items()}
    single = [{row["choice"]: row["change"] for row in alternatives([result(each)])} for each in (errors, other)]
    together = alternatives([result(errors), Result.from_dict({"models": {}, "members": MEMBERS}), result(other)])
    for row in together:
        values = [each[row["choice"]] for each in single]
        assert row["runs"] == 2
        assert row["change"] == pytest.approx(np.mean(values))
        assert row["over_cells"] == {"min": pytest.approx(min(values)), "max": pytest.approx(max(values))}
    assert alternatives([Result({})]) == []
