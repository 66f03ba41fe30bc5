"""From whom a student has learnt, how several teachers were taken together, and what became of its members."""

from tabulate import tabulate

from .._utils.run_folder import STORED_FORECASTS
from .card import plain


def lineage(results: dict) -> str:
    """The text of the section.

    Args:
        results: the content of `results.json`.
    """
    members = [member for member in (results.get("members") or {}).values() if member["weight"]]
    parts = [_members(results, members) if members else _one_form(results), _teachers(results)]
    return "\n\n".join(part for part in parts if part)


def taught_by(name: str | None, alpha: float, beta: float, loss: str) -> str:
    """The text of a student that a trainer distilled outside a run.

    Args:
        name: of the teacher, where it is known.
        alpha, beta: its weights; beta 0 where the feature terms were off.
    """
    if not alpha and not beta:
        return f"Trained on {_error(loss)} against the truth alone: the teacher's weights are 0."
    teacher = f"**{plain(name)}**" if name else "a teacher whose stored signal came with the training windows"
    feature = f" and beta {beta:g} on its feature" if beta else ", its feature unused"
    return (
        f"Distilled from {teacher}, with the weight alpha {alpha:g} on its forecast{feature}, beside {_error(loss)} "
        "against the truth."
    )


def heard_teacher(results: dict) -> bool:
    """Whether a teacher has a part in what is saved."""
    members = (results.get("members") or {}).values()
    if members:
        return any(member["weight"] and _is_taught(member, results) for member in members)
    return _is_taught(results["settings"], results)


def _is_taught(weights: dict, results: dict) -> bool:
    """Whether a student with that alpha and beta has heard the teacher."""
    return bool(weights["alpha"] or (weights["beta"] and heard_features(results)))


def teacher_name(results: dict) -> str:
    """Of one teacher, or of several with a plus."""
    return results["teacher"]["name"]


def heard_features(results: dict) -> bool:
    """Whether students that were to learn from the teacher's feature had it."""
    return results["teacher"]["signal"] != STORED_FORECASTS


def hub_ids(results: dict) -> list[str]:
    """Of the teachers that came from the Hub."""
    return list(results["teacher"].get("hub_ids") or [])


def licences(results: dict) -> list[dict[str, str]]:
    """Of the teachers that the student heard, as their cards name them; empty where one is not known."""
    return list(results["teacher"].get("licences") or [{}]) if heard_teacher(results) else [{}]


def _name_and_error(results: dict) -> str:
    score = results["models"].get("teacher")
    said = "its forecasts do not cover the test windows"
    if score is not None:
        said = f"test MSE {score['mse']:.4f} on standardised values"
    return f"**{teacher_name(results)}** ({said})"


def _one_form(results: dict) -> str:
    settings, teacher = results["settings"], _name_and_error(results)
    if not heard_teacher(results):
        reason = "alpha and beta are 0" if heard_features(results) else "alpha is 0 and it heard no features"
        return (
            f"No teacher has a part in this student: {reason}, it was trained on "
            f"{_error(settings['loss'])} against the truth alone. The run's teacher, {teacher}, is there for "
            "comparison."
        )
    if not heard_features(results):
        return (
            f"Distilled from {teacher}, with the weight alpha {settings['alpha']:g} on its forecast, its feature "
            f"unused, beside {_error(settings['loss'])} against the truth."
        )
    return (
        f"Distilled from {teacher}, with the weights alpha {settings['alpha']:g} on its forecast and beta "
        f"{settings['beta']:g} on its feature beside {_error(settings['loss'])} against the truth."
    )


def _error(loss: str) -> str:
    return {"mse": "the squared error", "mae": "the absolute error"}[loss]


def _members(results: dict, members: list[dict]) -> str:
    teacher = _name_and_error(results)
    taught = sum(member["weight"] for member in members if _is_taught(member, results))
    rows = [
        [
            plain(member["form"]), f"{member['alpha']:g}", f"{member['beta']:g}", f"{member['weight']:.3f}",
            f"{member['validation_mse']:.4f}", f"{member['mse']:.4f}", f"{member['parameters']:,}",
        ]
        for member in members
    ]  # fmt: skip
    headers = ["member", "alpha", "beta", "weight", "validation MSE", "test MSE", "parameters"]
    table = tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 6))
    said = f"Distilled from {teacher}: members that heard it have {taught:.0%} of the weight."
    if not taught:
        said = f"No teacher has a part in this student: on validation, members without {teacher} did better."
    if not heard_features(results):
        said = f"{said} None heard its feature: a beta above 0 had no effect."
    count = len(results["members"])
    return (
        f"{said} Of {count} candidates {len(members)} count. Members, their weights and the teacher's weight in each "
        "(alpha on its forecast, beta on its feature) were chosen on the validation windows, which therefore look "
        "better than new data will. What is linear in them is folded into one map, so that the student is smaller "
        f"than their sum.\n\n{table}"
    )


def _teachers(results: dict) -> str:
    """The teachers one by one, and how several were taken together."""
    mix, models = results["teacher"].get("mix"), results["models"]
    sources = results["settings"]["teacher"]
    if mix is None:
        return f"The teacher was {_origin(sources[0], results)}."
    singles = [name for name in models if name.startswith("teacher_")]
    rows = [
        [
            name.removeprefix("teacher_"), _origin(source, results), f"{weight:.3f}", f"{models[name]['mse']:.4f}",
            f"{models[name]['parameters']:,}",
        ]
        for name, source, weight in zip(singles, sources, mix["weights"], strict=True)
    ]  # fmt: skip
    headers = ["teacher", "where from", "weight", "test MSE", "parameters"]
    table = tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", "left", *["right"] * 3))
    return f"{_mixing(results)}\n\n{table}"


def _origin(source: str, results: dict) -> str:
    from ..signal_store.table import is_table

    if source in hub_ids(results):
        return f"taken from the Hub: [{source}](https://huggingface.co/{source})"
    if is_table(source):
        return "a table of forecasts, without a model"
    return "trained in this run, on the same train rows" if _is_family(source) else "trained before this run"


def _is_family(source: str) -> bool:
    from ..teachers import FAMILIES

    return source in FAMILIES


def _mixing(results: dict) -> str:
    if results["settings"]["teacher_mix"] == "mean":
        return "The teachers' forecasts are averaged with equal weights."
    weights = "weights from the validation windows, with a pull towards equal ones"
    return f"The teachers' forecasts are averaged with {weights}."
