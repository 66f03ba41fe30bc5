"""The document of a matrix's results: tables for people, plots, JSON for programs. The whole file is generated."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.files import staged_file, write_json

from .plots import plot_ablations, plot_relative_errors
from .published import HORIZONS
from .results import Result
from .summary import ROLES, TOLERANCE, summarise


BEGIN = "<!-- generated: do not edit"
END = "<!-- end of what is generated -->"
_TITLES = {
    "student": "student",
    "student_no_kd": "no distillation",
    "linear": "linear layer",
    "teacher": "teacher",
    "seasonal_naive": "seasonal naive",
}


def write_report(results: Sequence[Result], folder: Path, command: str) -> Path:
    """Write `results.md`, `results.json` and `images/*.png` into `folder`; gives the path of the document.

    Args:
        results: finished cells.
        command: what writes it, for its first line.

    Raises:
        InputError: the document that is there was not generated.
    """
    path = folder / "results.md"
    if path.exists() and not path.read_text(encoding="utf-8").startswith(BEGIN):
        raise InputError(f"{str(path)!r} was written by hand: move it, or name another --docs_dir")
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    summary = summarise(results)
    plots = plot_relative_errors(summary["cells"], images) | plot_ablations(summary["ablations"], images)
    write_json(folder / "results.json", summary)
    with staged_file(path) as stage:
        stage.write_text(document(results, summary, plots, command), encoding="utf-8")
    return path


def document(results: Sequence[Result], summary: dict, plots: dict[str, str], command: str) -> str:
    """The text of the document.

    Args:
        plots: file names in `images/` by what they show.
    """
    parts = [
        f"{BEGIN}; this whole file is written by\n     {command} -->",
        "# Results",
        _introduction(results),
        "## Averages over the horizons",
        *_averages(summary["averages"]),
        "## Every cell",
        *_cells(summary["cells"]),
        *(f"![{title}](images/{name})" for title, name in plots.items() if name.startswith("relative_error")),
    ]
    if summary["ablations"]:
        parts += ["## What each part brings", *_ablations(summary["ablations"])]
        parts += [f"![{title}](images/{name})" for title, name in plots.items() if name.startswith("ablation")]
    if summary["alternatives"]:
        parts += ["## The same candidates, chosen otherwise", *_alternatives(summary["alternatives"])]
    if summary["members"]:
        parts += ["## The members of the student", *_members(summary["members"])]
    parts += ["## Run it again", _commands(results), END]
    return "\n\n".join(parts) + "\n"


def _introduction(results: Sequence[Result]) -> str:
    context = sorted({result.settings["context_length"] for result in results})
    torch = sorted({result.versions["torch"] for result in results})
    devices = sorted({result.hardware["device"] for result in results})
    return (
        f"{len(results)} runs, look-back {', '.join(map(str, context))}, on {', '.join(devices)} with torch "
        f"{', '.join(torch)}. Errors are on standardised values, over all test windows; lower is better. A mean over "
        'seeds is followed by its range. "No distillation" is the same student trained without a teacher, "linear '
        'layer" one linear layer on the centred window.'
    )


def _averages(averages: list[dict]) -> list[str]:
    roles = [role for role in ROLES if role != "seasonal_naive"]
    rows = []
    for row in averages:
        lacks = [str(length) for length in HORIZONS if length not in row["horizons"]]
        timedistill, best = row["published_timedistill"], row["published_best"]
        rows.append(
            [
                row["dataset"],
                f"{row['variant']}, {row['teachers']}",
                ", ".join(map(str, row["horizons"])) + (f" (**not yet {', '.join(lacks)}**)" if lacks else ""),
                _range(row["seeds"]),
                *(_number(row["mse"].get(role)) for role in roles),
                _number(timedistill, 3),
                _change(row["against_timedistill"]),
                f"{best:.3f} ({row['published_best_model']})" if best else "-",
                _change(row["against_best"]),
            ]
        )
    headers = [
        "data set", "recipe, teachers", "horizons", "seeds", *(_TITLES[role] for role in roles),
        "TimeDistill, published", "student against it", "best published", "student against it",
    ]  # fmt: skip
    text = (
        "Test MSE, averaged over the horizons that are there. Published figures are averages over "
        f"{', '.join(map(str, HORIZONS))} at look-back 720; a difference to them is given only where all four "
        "are there."
    )
    notes = [f"{row['dataset']}: {row['note']}." for row in averages if row["note"]]
    return [text, _table(rows, headers, left=3), *dict.fromkeys(notes)]


def _cells(cells: list[dict]) -> list[str]:
    text = (
        f'Test MSE, mean (lowest to highest seed). "**Above**" marks a student more than {TOLERANCE} % above the '
        "better one of its two controls, no distillation and the linear layer."
    )
    flagged = sum(cell["is_flagged"] for cell in cells)
    below = sum(cell["is_below_both"] for cell in cells)
    count = f"Of {len(cells)} cells the student is below both controls in {below}, and flagged in {flagged}."
    mae = f"<details><summary>The same in test MAE</summary>\n\n{_cell_table(cells, 'mae')}\n\n</details>"
    return [text, count, _cell_table(cells, "mse"), mae]


def _cell_table(cells: list[dict], metric: str) -> str:
    singles = sorted({role for cell in cells for role in cell["roles"]} - set(ROLES))
    rows = []
    for cell in cells:
        roles = cell["roles"]
        row = [
            f"{cell['dataset']}-{cell['prediction_length']}",
            f"{cell['variant']}, {cell['teachers']}",
            len(cell["seeds"]),
            *(_spread(roles[role][metric]) if role in roles else "-" for role in (*ROLES, *singles)),
        ]
        rows.append([*row, _verdict(cell)] if metric == "mse" else row)
    titles = [_TITLES.get(role, role.replace("_", " ", 1)) for role in (*ROLES, *singles)]
    headers = ["cell", "recipe or variant, teachers", "seeds", *titles]
    return _table(rows, [*headers, "against the better control"] if metric == "mse" else headers, left=2)


def _verdict(cell: dict) -> str:
    if cell["better_control"] is None:
        return "no control"
    change = _change(cell["against_better_control"])
    if cell["is_flagged"]:
        return f"**Above** ({_TITLES[cell['better_control']]}): {change}"
    return f"below both: {change}" if cell["is_below_both"] else change


def _ablations(ablations: list[dict]) -> list[str]:
    text = (
        "Change of the student's test MSE in a variant against the base, over the cells and seeds that both have: "
        "above zero, what the variant leaves out or changes was of use. Cells count alike, whatever their seeds. "
        '"Over seeds" is the mean distance between the lowest and the highest seed of a cell.'
    )
    rows = [
        [
            row["base"], row["variant"], _change(row["change"]),
            f"{row['over_cells']['min']:+.2f} to {row['over_cells']['max']:+.2f} %",
            "-" if row["over_seeds"] is None else f"{row['over_seeds']:.2f} %-points", row["cells"], row["runs"],
        ]
        for row in ablations
    ]  # fmt: skip
    headers = ["base", "variant", "mean change", "over cells", "over seeds", "cells", "runs"]
    return [text, _table(rows, headers, left=2)]


def _alternatives(alternatives: list[dict]) -> list[str]:
    text = (
        "Change of the student's MSE if the weights of the same trained candidates had been found otherwise, against "
        "the best weights of all of them; in the order of validation, which is what a choice may look at. Computed "
        "from the products of the candidates' errors, over all cells and seeds of the base recipes; limits of size, "
        "weight and gain are left aside."
    )
    rows = [
        [
            row["choice"], _change(row["validation_change"]), _change(row["change"]),
            f"{row['over_cells']['min']:+.2f} to {row['over_cells']['max']:+.2f} %", row["runs"],
        ]
        for row in alternatives
    ]  # fmt: skip
    return [text, _table(rows, ["choice", "validation", "test", "test, over runs", "runs"], left=1)]


def _members(members: list[dict]) -> list[str]:
    rows = [
        [
            row["dataset"], f"{row['variant']}, {row['teachers']}", row["member"], _number(row["weight"], 3),
            _number(row["mse"]), _number(row["validation_mse"]), _number(row["alpha"], 2), row["runs"],
        ]
        for row in members
    ]  # fmt: skip
    headers = ["data set", "recipe, teachers", "member", "weight", "test MSE", "validation MSE", "alpha", "runs"]
    return ["Means over horizons and seeds of each data set.", _table(rows, headers, left=3)]


def _commands(results: Sequence[Result]) -> str:
    """A collapsed list; the teachers' commands once, before the cells'."""
    teachers = {}
    for result in results:
        teachers |= result.other["teacher_commands"]
    lines = [f"# teacher {name}\n{_command(command)}" for name, command in sorted(teachers.items())]
    for result in results:
        content = result.other
        commit = (content["git_commit"] or "unknown").partition("-")
        about = f"{content['seconds']:.0f} s, OMP_NUM_THREADS={content['threads']}, commit {commit[0][:12]}"
        lines.append(f"# {result.name}: {about}{commit[1]}{commit[2]}\n{_command(content['command'])}")
    listing = "\n".join(lines)
    return (
        "<details><summary>The command of every teacher and cell (DIR: the folder with the data)</summary>\n\n"
        f"```bash\n{listing}\n```\n\n</details>"
    )


def _command(command: list[str]) -> str:
    command = list(command)
    if "--data_dir" in command:
        command[command.index("--data_dir") + 1] = "DIR"
    return shlex.join(command)


def _table(rows: list[list], headers: list[str], left: int) -> str:
    align = ["left"] * left + ["right"] * (len(headers) - left)
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=align)


def _spread(values: dict) -> str:
    mean = f"{values['mean']:.4f}"
    if values["max"] - values["min"] < 5e-5:
        return mean
    return f"{mean} ({values['min']:.4f} to {values['max']:.4f})"


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _change(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f} %"


def _range(counts: dict) -> str:
    return str(counts["min"]) if counts["min"] == counts["max"] else f"{counts['min']} to {counts['max']}"
