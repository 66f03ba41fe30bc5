"""What other choices among the same trained candidates would have given, from the products of their errors.

With weights w the squared error of a combination is w' G w, on validation and on test windows: no model is run again.
"""

import statistics
from collections.abc import Iterable, Sequence

import torch

from ..evaluation.mixing import convex_weights
from .results import Result


def alternatives(results: Iterable[Result]) -> list[dict]:
    """The mean change of test MSE, in per cent, by what is done otherwise; the best choices first.

    Only results that hold `error_products` count. The limits on size and on the least weight are not applied, neither
    to the alternatives nor to what they are compared with.

    Returns:
        `choice`, mean `change`, its range `over_cells` (`min`, `max`) and the number of `runs`.
    """
    changes: dict[str, list[float]] = {}
    for result in results:
        if "error_products" in result.content:
            for choice, change in _changes(result).items():
                changes.setdefault(choice, []).append(change)
    rows = [
        {
            "choice": choice,
            "change": statistics.fmean(values),
            "over_cells": {"min": min(values), "max": max(values)},
            "runs": len(values),
        }
        for choice, values in changes.items()
    ]
    return sorted(rows, key=lambda row: row["change"])


def _changes(result: Result) -> dict[str, float]:
    members = list(result.members.values())
    validation, test = (
        torch.tensor(result.content["error_products"][part], dtype=torch.float64) for part in ("validation", "test")
    )
    shrinkage = result.content["settings"]["shrinkage"]
    forms = list(dict.fromkeys(member["form"] for member in members))

    def best(rows: Iterable[int]) -> int:
        return min(rows, key=lambda row: validation[row, row].item())

    def error(rows: Sequence[int], shrinkage: float = shrinkage) -> float:
        weights = convex_weights(validation[rows][:, rows], shrinkage)
        return (weights @ test[rows][:, rows] @ weights).item()

    every = list(range(len(members)))
    by_form = {form: [row for row in every if members[row]["form"] == form] for form in forms}
    chosen = {form: best(rows) for form, rows in by_form.items()}
    kept = list(chosen.values())
    plain = [row for row in every if not members[row]["alpha"] and not members[row]["beta"]]
    taught = [row for row in every if row not in plain]
    found = {
        "equal weights": test[kept][:, kept].mean().item(),
        "no pull towards equal weights": error(kept, 0.0),
        "five times the pull": error(kept, 5 * shrinkage),
        "the one candidate that is best on validation": test[best(every), best(every)].item(),
        "all candidates, each form with every weight of the teacher": error(every),
    }
    if plain:
        found["no teacher"] = error(plain)
    if taught:
        found["every form with the teacher"] = error(taught)
    if len(forms) > 1:
        found |= {f"without {form}": error([chosen[other] for other in forms if other != form]) for form in forms}
        found |= {f"{form} alone": test[row, row].item() for form, row in chosen.items()}
    base = error(kept)
    return {choice: 100 * (value / base - 1) for choice, value in found.items()}
