"""Cards from committed results: one for each data set, recipe and set of teachers, over its horizons and seeds."""

import json
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from huggingface_hub import ModelCard
from tabulate import tabulate

from .._utils.errors import InputError
from ..evaluation.report import ROWS, TITLES, measured_on, milliseconds_text
from .card import LICENSE, CardContent, Measured, history_note, names, plain
from .lineage import heard_teacher, teacher_name
from .student import against, channels, comparison, data_source, training_text


MARK = "<!-- made by scripts/make_model_cards.py from benchmarks/results: do not edit -->"
_SEED = re.compile(r"-seed\d+$")


def family_cards(results_dir: str | Path) -> dict[str, ModelCard]:
    """The cards by file name.

    Args:
        results_dir: JSON files of runs with recipe `paper` (`benchmarks/paper.py`), and a folder for each matrix
            (`benchmarks/reproduce.py`). Files that hold no student are passed over, as are the matrix's variants,
            which ask what a part of the recipe brings, and other benchmarks' folders.

    Raises:
        InputError: a file cannot be read.
    """
    families: dict[str, list[tuple[str, dict]]] = {}
    for path in sorted(Path(results_dir).rglob("*.json")):
        results = _read(path)
        in_matrix = path.parent != Path(results_dir)
        is_variant = results.get("cell", {}).get("base") is not None
        if "student" in results.get("models", {}) and in_matrix == ("cell" in results) and not is_variant:
            families.setdefault(_family(path, results), []).append((path.stem, results))
    return {f"{name}.md": _card(name, runs) for name, runs in sorted(families.items())}


def write_family_cards(results_dir: str | Path, folder: str | Path) -> list[Path]:
    """Write them, and remove those made before of which there are no results any more."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cards = family_cards(results_dir)
    for path in folder.glob("*.md"):
        if path.name not in cards and not path.is_symlink() and MARK in path.read_text(encoding="utf-8"):
            path.unlink()
    for name, card in cards.items():
        card.save(folder / name)
    return [folder / name for name in cards]


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read ({error}): write it anew, or delete it") from error
    return content if isinstance(content, dict) else {}


def _family(path: Path, results: dict) -> str:
    """All but horizon and seed; the first results, all of one horizon, have it in their file's name."""
    cell = results.get("cell")
    if cell is None:
        return _SEED.sub("", path.stem)
    teachers = "+".join(teacher["family"] for teacher in cell["teachers"])
    return re.sub(r"[^\w+.-]", "_", f"{cell['dataset']}-{cell['variant']}-{teachers}")


def _card(name: str, named: Sequence[tuple[str, dict]]) -> ModelCard:
    named = sorted(named, key=lambda each: (_horizon(each[1]), each[1]["settings"]["seed"]))
    runs = [results for _, results in named]
    first, settings, data = runs[0], runs[0]["settings"], runs[0]["data"]
    horizons = _by_horizon(runs)
    sizes = _range([run["models"]["student"]["parameters"] for run in runs])
    shown_horizons = ", ".join(map(str, horizons))
    return CardContent(
        repo=_folder(*named[0]),
        model_name=name,
        title=f"{plain(data['name'])}: students of {teacher_name(first)}",
        summary=(
            f"{MARK}\n\nSmall students of TimeDistill ({settings['architecture']}, {sizes} parameters), one for each "
            f"horizon and seed ({len(runs)} in all). They look back {settings['context_length']} steps and forecast "
            f"the next {shown_horizons} of {channels(data['columns'])}."
        ),
        sections=[
            ("Lineage", _lineage(runs)),
            ("Data", _data(runs)),
            ("Training", training_text(runs)),
            ("Results", _results(runs)),
        ],
        how_to_make=_how_to_make(named),
        limits=_limits(runs),
        version=first["versions"]["timedistill_hf"],
        is_distilled=True,
        context_length=settings["context_length"],
        prediction_length=_horizon(first),
        num_input_channels=len(data["columns"]),
        data=data_source(first),
        measured=[_measured(cell) for cell in horizons.values()],
        licence={"license": LICENSE},
        tags=["benchmark"],
        history=history_note(
            data["columns"], settings["context_length"], data["timestamp_column"], settings["id_column"]
        ),
        loads_without_package=True,
    ).card()


def _horizon(results: dict) -> int:
    return results["settings"]["prediction_length"]


def _by_horizon(runs: Sequence[dict]) -> dict[int, list[dict]]:
    found: dict[int, list[dict]] = {}
    for run in runs:
        found.setdefault(_horizon(run), []).append(run)
    return found


def _measured(cell: Sequence[dict]) -> Measured:
    student = {
        metric: _mean(cell, lambda run, metric=metric: run["models"]["student"][metric]) for metric in ("mse", "mae")
    }
    settings = cell[0]["settings"]
    return Measured(student, "test", settings["context_length"], settings["prediction_length"], seeds=len(cell))


def _mean(cell: Sequence[dict], of: Callable[[dict], float]) -> float:
    return statistics.fmean(of(run) for run in cell)


def mean_models(cell: Sequence[dict]) -> dict[str, dict[str, float]]:
    """The scores of each model that all runs of a cell have, averaged over seeds."""
    roles = [role for role in cell[0]["models"] if all(role in run["models"] for run in cell)]
    return {
        role: {
            name: _mean(cell, lambda run, role=role, name=name: run["models"][role][name])
            for name in ("mse", "mae", "parameters", "milliseconds")
        }
        for role in roles
    }


def _lineage(runs: Sequence[dict]) -> str:
    scores = {horizon: mean_models(cell)["teacher"]["mse"] for horizon, cell in _by_horizon(runs).items()}
    shown = ", ".join(f"{score:.4f} at {horizon} steps" for horizon, score in scores.items())
    teacher = f"**{teacher_name(runs[0])}** (test MSE {shown}, on standardised values)"
    heard = [heard_teacher(run) for run in runs]
    if not any(heard):
        said = f"No teacher has a part in these students; {teacher} is there for comparison."
    elif all(heard):
        said = f"Distilled from {teacher}."
    else:
        said = f"Distilled from {teacher} in {sum(heard)} of {len(runs)} runs; in the others no teacher has a part."
    mixed = [run["teacher"]["mix"] for run in runs if run["teacher"].get("mix")]
    if mixed:
        weights = [
            f"{name} {_range([mix['weights'][index] for mix in mixed], '.3f')}"
            for index, name in enumerate(mixed[0]["members"])
        ]
        said += f" The teachers are taken together with weights found on validation windows: {', '.join(weights)}."
    return "\n\n".join(part for part in (said, _member_table(runs)) if part)


def _member_table(runs: Sequence[dict]) -> str:
    """Of combinations: mean weight of every candidate that counts in some run, and in how many."""
    with_members = [run for run in runs if run.get("members")]
    if not with_members:
        return ""
    found: dict[tuple, list[dict]] = {}
    for run in with_members:
        for member in run["members"].values():
            found.setdefault((member["form"], member["alpha"], member["beta"]), []).append(member)
    rows = []
    for (form, alpha, beta), members in found.items():
        counted = [member for member in members if member["weight"]]
        if counted:
            weight = sum(member["weight"] for member in members) / len(with_members)
            mse = statistics.fmean(member["validation_mse"] for member in members)
            rows.append(
                [
                    plain(form),
                    f"{alpha:g}",
                    f"{beta:g}",
                    f"{weight:.3f}",
                    f"{mse:.4f}",
                    f"{len(counted)} of {len(with_members)}",
                ]
            )
    headers = ["member", "alpha", "beta", "mean weight", "validation MSE", "counts in runs"]
    table = tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 5))
    return (
        "Candidates, their weights and the teacher's weight in each (alpha on its forecast, beta on its feature) were "
        f"chosen on the validation windows, which therefore look better than new data will.\n\n{table}"
    )


def _data(runs: Sequence[dict]) -> str:
    data = runs[0]["data"]
    fingerprints = ", ".join(f"`{mark}`" for mark in dict.fromkeys(run["data"]["fingerprint"] for run in runs))
    note = f" {plain(data['note'])[:1].upper()}{plain(data['note'])[1:]}." if data["note"] else ""
    rows = ", ".join(f"{name} {last - first:,} rows" for name, (first, last) in data["rows"].items())
    every = f", a step every {data['freq']}" if data["freq"] else ""
    return (
        f"{data_source(runs[0]).text}, fingerprint {fingerprints}.{note} {len(data['columns'])} channels "
        f"({names(data['columns'])}){every}, a season of {data['season']} steps. In order of time: {rows}. Each is "
        "standardised with the mean and deviation of its train rows."
    )


def _results(runs: Sequence[dict]) -> str:
    machines = sorted({measured_on(run) for run in runs})
    parts = [
        "All test windows; MSE and MAE on values standardised with the train rows' mean and deviation, MASE in the "
        f"data's units; milliseconds for 32 windows on {'; '.join(machines)}. A mean over seeds is followed by its "
        "range."
    ]
    for horizon, cell in _by_horizon(runs).items():
        seeds = ", ".join(str(run["settings"]["seed"]) for run in cell)
        parts += [
            f"### {horizon} steps, seed{'s' if len(cell) > 1 else ''} {seeds}",
            _table(cell),
            comparison(mean_models(cell)),
        ]
    return "\n\n".join(part for part in parts if part)


def _table(cell: Sequence[dict]) -> str:
    roles = mean_models(cell)
    ordered = sorted(roles, key=lambda role: ROWS.index("teacher" if role.startswith("teacher_") else role))
    rows = []
    for role in ordered:
        scores = [run["models"][role] for run in cell]
        rows.append(
            [
                TITLES.get(role, role.replace("_", " ", 1)),
                *(_spread([score[metric] for score in scores]) for metric in ("mse", "mae")),
                _spread([score["units"]["mase"] for score in scores], 3),
                _range([score["parameters"] for score in scores]),
                milliseconds_text(scores),
            ]
        )
    headers = ["model", "test MSE", "test MAE", "MASE", "parameters", "ms, batch 32"]
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=("left", *["right"] * 5))


def _spread(values: Sequence[float], digits: int = 4) -> str:
    mean = f"{statistics.fmean(values):.{digits}f}"
    if f"{max(values):.{digits}f}" == f"{min(values):.{digits}f}":
        return mean
    return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _range(values: Sequence[float], form: str = ",") -> str:
    lowest, highest = f"{min(values):{form}}", f"{max(values):{form}}"
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _how_to_make(named: Sequence[tuple[str, dict]]) -> str:
    """These weights are not published: the command that trains them."""
    first = named[0][1]
    command = "python benchmarks/paper.py --data_dir DIR"
    if "cell" in first:
        pattern = f"{first['cell']['dataset']}-*-{_SEED.sub('', named[0][0]).split('-', 2)[-1]}-seed*"
        command = (
            f"python benchmarks/reproduce.py --matrix benchmarks/matrices/best.yaml --data_dir DIR --only '{pattern}'"
        )
    return (
        "The weights are not published. With the benchmark files in `DIR`, this trains them; the snippets then run in "
        f"the repository:\n\n```bash\n{command}\n```"
    )


def _folder(stem: str, results: dict) -> str:
    return f"runs/reproduce/cells/{stem}" if "cell" in results else f"runs/{stem}"


def _limits(runs: Sequence[dict]) -> str:
    """What holds of all, then what the controls say, a line a horizon."""
    common = (
        f"Trained on one data set with one split; nothing is known about others. Each reads exactly "
        f"{runs[0]['settings']['context_length']} steps, gives point forecasts without uncertainty and uses no "
        "calendar or other covariates."
    )
    lines = []
    for horizon, cell in _by_horizon(runs).items():
        said = against(mean_models(cell), heard=any(heard_teacher(run) for run in cell))
        lines += [f"- {horizon} steps: {' '.join(said)}"] if said else []
    return "\n".join([common, *([""] if lines else []), *lines])
