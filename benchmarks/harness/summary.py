"""From the results of all cells to the numbers of the report: pure arithmetic on what the JSON files hold."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from timedistill_hf.data.benchmarks import BENCHMARKS

from .alternatives import alternatives
from .cells import slug
from .published import CONTEXT_LENGTH, HORIZONS, PUBLISHED, Published
from .results import Result


ROLES = ("student", "student_no_kd", "linear", "teacher", "seasonal_naive")
CONTROLS = ("student_no_kd", "linear")
TOLERANCE = 0.5  # per cent above the better control from which a student is flagged
_MEMBER_FIELDS = ("weight", "mse", "validation_mse", "alpha")
_OTHER_DATA = (
    "split",
    "target_columns",
    "missing_value",
    "time_zone",
    "timestamp_column",
    "id_column",
    "hub_config",
    "dataset_revision",
)


def summarise(results: Iterable[Result]) -> dict:
    """All numbers of the report.

    Returns:
        `cells`, `averages`, `ablations`, `members` and `alternatives`: lists of dicts, ready for JSON; errors on
        standardised values, changes in per cent.
    """
    results = sorted(results, key=_order)
    bases = [result for result in results if result.base is None]
    cells = [_cell(runs) for runs in _groups(results, lambda result: result.key).values()]
    return {
        "cells": cells,
        "averages": [
            _average(runs) for runs in _groups(bases, lambda run: (run.dataset, run.variant, run.families)).values()
        ],
        "ablations": _ablations(results),
        "members": _members(bases),
        "alternatives": alternatives(bases),
    }


def spread(values: Sequence[float]) -> dict:
    """Mean, lowest and highest."""
    return {"mean": statistics.fmean(values), "min": min(values), "max": max(values)}


def percent(value: float, reference: float) -> float:
    """How much larger than the reference, in per cent; negative where smaller."""
    return 100 * (value / reference - 1)


def _cell(runs: list[Result]) -> dict:
    """One cell over its seeds."""
    first = runs[0]
    roles = {
        role: {
            metric: spread([getattr(run.models[role], metric) for run in runs if role in run.models])
            for metric in ("mse", "mae")
        }
        for role in _roles(runs)
    }
    student = roles["student"]["mse"]["mean"]
    controls = {role: roles[role]["mse"]["mean"] for role in CONTROLS if role in roles}
    better = min(controls, key=controls.get) if controls else None
    return {
        "dataset": slug(first.dataset),
        "prediction_length": first.prediction_length,
        "variant": first.variant,
        "is_base": first.base is None,
        "teachers": first.families,
        "seeds": [run.seed for run in runs],
        "note": first.data.note,
        "roles": roles,
        "better_control": better,
        "against_better_control": percent(student, controls[better]) if better else None,
        "against": {
            role: spread([percent(run.mse("student"), run.mse(role)) for run in runs if role in run.models])
            for role in controls
        },
        "is_below_both": len(controls) == len(CONTROLS) and student < controls[better],
        "is_flagged": better is not None and percent(student, controls[better]) > TOLERANCE,
    }


def _average(runs: list[Result]) -> dict:
    """One data set, recipe and set of teachers: the mean over horizons of the means over seeds."""
    first = runs[0]
    horizons = _groups(runs, lambda run: run.prediction_length)
    seeds = [len(of_horizon) for of_horizon in horizons.values()]
    common = [role for role in _roles(runs) if all(role in run.models for run in runs)]
    mse = {
        role: statistics.fmean(
            statistics.fmean(run.mse(role) for run in of_horizon) for of_horizon in horizons.values()
        )
        for role in common
    }
    published = _published(runs)
    complete = sorted(horizons) == sorted(HORIZONS)
    return {
        "dataset": slug(first.dataset),
        "variant": first.variant,
        "teachers": first.families,
        "note": first.data.note,
        "horizons": sorted(horizons),
        "has_all_horizons": complete,
        "seeds": {"min": min(seeds), "max": max(seeds)},
        "mse": mse,
        "published_timedistill": published.timedistill if published else None,
        "published_best": published.best if published else None,
        "published_best_model": published.model if published else None,
        "against_timedistill": percent(mse["student"], published.timedistill)
        if complete and published and published.timedistill
        else None,
        "against_best": percent(mse["student"], published.best) if complete and published else None,
    }


def _published(runs: list[Result]) -> Published | None:
    """The published figures where the runs saw the same data: the whole benchmark, split as usual, that look-back."""
    flags = [run.cell["flags"] for run in runs]
    is_same = all(
        int(own.get("context_length") or CONTEXT_LENGTH) == CONTEXT_LENGTH
        and all(own.get(name) is None for name in _OTHER_DATA)
        for own in flags
    )
    return PUBLISHED.get(runs[0].dataset.lower()) if is_same else None


def _ablations(results: list[Result]) -> list[dict]:
    """Every variant against its base over the cells that both have, the one that loses most without it first."""
    by_name = {result.name: result for result in results}
    pairs = [(result, by_name[result.base]) for result in results if result.base in by_name]
    found = []
    for (base, variant), own in _groups(pairs, lambda pair: (pair[1].variant, pair[0].variant)).items():
        cells = {
            key: [percent(run.mse("student"), reference.mse("student")) for run, reference in of_cell]
            for key, of_cell in _groups(own, lambda pair: pair[0].key).items()
        }
        means = [statistics.fmean(changes) for changes in cells.values()]
        ranges = [max(changes) - min(changes) for changes in cells.values() if len(changes) > 1]
        found.append(
            {
                "base": base,
                "variant": variant,
                "change": statistics.fmean(means),
                "over_cells": {"min": min(means), "max": max(means)},
                "over_seeds": statistics.fmean(ranges) if ranges else None,
                "cells": len(means),
                "runs": len(own),
                "change_by_cell": {
                    f"{slug(dataset)}-{length}-{families}": statistics.fmean(changes)
                    for (dataset, length, _, families), changes in cells.items()
                },
            }
        )
    return sorted(found, key=lambda row: (row["base"], -row["change"]))


def _members(bases: list[Result]) -> list[dict]:
    """What each form of a combined student weighs and errs, over the horizons and seeds of a data set."""
    found = []
    for (dataset, variant, families), runs in _groups(
        bases, lambda run: (run.dataset, run.variant, run.families)
    ).items():
        for name in dict.fromkeys(name for run in runs for name in run.members):
            own = [run.members[name] for run in runs if name in run.members]
            means = {}
            for field in _MEMBER_FIELDS:
                values = [value for member in own if (value := getattr(member, field)) is not None]
                means[field] = statistics.fmean(values) if values else None
            about = {"dataset": slug(dataset), "variant": variant, "teachers": families, "member": name}
            found.append(about | means | {"runs": len(own)})
    return found


def _roles(runs: list[Result]) -> list[str]:
    """The known roles first, then those of single teachers."""
    found = {role for run in runs for role in run.models}
    return [*(role for role in ROLES if role in found), *sorted(found - set(ROLES))]


def _groups(items: Iterable, key: Callable) -> dict:
    found: dict = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _order(result: Result) -> tuple:
    """Data sets as the benchmarks are listed, then horizons; the base before its variants."""
    known = list(BENCHMARKS)
    name = result.dataset.lower()
    place = known.index(name) if name in known else len(known)
    is_variant = result.base is not None
    return (place, name, result.prediction_length, is_variant, result.variant, result.families, result.seed)
