"""What other choices among the same trained candidates would have given, from the products of their errors.

With weights w the squared error of a combination is w' G w, on validation and on test windows: no model is run again.
"""

import statistics
from collections.abc import Iterable, Sequence

import torch

from timedistill_hf.evaluation.mixing import convex_weights

from .results import Result


def alternatives(results: Iterable[Result]) -> list[dict]:
    """The mean change of the error, in per cent, by what is done otherwise; the least on validation first.

    Only results that hold `error_products` count. They are compared with the best weights of all candidates; the
    limits on size and least weight are applied neither to those nor to the alternatives. The order is that
    of validation, because a choice by the change on test windows would be none that a user could make.

    Returns:
        `choice`, mean `validation_change` and `change` (of test MSE), the latter's range `over_cells` (`min`, `max`),
        and the number of `runs`.
    """
    changes: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        if result.error_products:
            for choice, change in _changes(result).items():
                changes.setdefault(choice, []).append(change)
    rows = []
    for choice, values in changes.items():
        validation, test = zip(*values, strict=True)
        rows.append(
            {
                "choice": choice,
                "validation_change": statistics.fmean(validation),
                "change": statistics.fmean(test),
                "over_cells": {"min": min(test), "max": max(test)},
                "runs": len(values),
            }
        )
    return sorted(rows, key=lambda row: row["validation_change"])


def _changes(result: Result) -> dict[str, tuple[float, float]]:
    """By choice the change on validation and on test windows."""
    members = list(result.members.values())
    products = [torch.tensor(result.error_products[part], dtype=torch.float64) for part in ("validation", "test")]
    validation = products[0]
    shrinkage = result.settings["shrinkage"]
    forms = list(dict.fromkeys(member.form for member in members))

    def best(rows: Iterable[int]) -> int:
        return min(rows, key=lambda row: validation[row, row].item())

    def errors(rows: Sequence[int], weights: torch.Tensor) -> list[float]:
        return [(weights @ part[rows][:, rows] @ weights).item() for part in products]

    def chosen(rows: Sequence[int], shrinkage: float = shrinkage, in_kinds: bool = True) -> list[float]:
        kinds = [members[row].kind for row in rows] if in_kinds else None
        return errors(rows, convex_weights(validation[rows][:, rows], shrinkage, kinds))

    every = list(range(len(members)))
    by_form = {form: [row for row in every if members[row].form == form] for form in forms}
    plain = [row for row in every if not members[row].alpha and not members[row].beta]
    taught = [row for row in every if row not in plain]
    found = {
        "equal weights": errors(every, torch.full((len(every),), 1 / len(every), dtype=torch.float64)),
        "no pull towards equal weights": chosen(every, 0.0),
        "five times the pull": chosen(every, 5 * shrinkage),
        "the pull across all kinds": chosen(every, in_kinds=False),
        "the one candidate that is best on validation": chosen([best(every)]),
        "of each form only the version that is better on validation": chosen([best(own) for own in by_form.values()]),
    }
    if plain:
        found["no teacher"] = chosen(plain)
    if taught:
        found["every form with the teacher"] = chosen(taught)
    if len(forms) > 1:
        found |= {f"without {form}": chosen([row for row in every if row not in by_form[form]]) for form in forms}
        found |= {f"{form} alone": chosen(own) for form, own in by_form.items()}
    base = chosen(every)
    return {
        choice: tuple(100 * (value / reference - 1) for value, reference in zip(values, base, strict=True))
        for choice, values in found.items()
    }
