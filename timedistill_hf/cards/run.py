"""The card of a student from the results of its run, or of students from those of several horizons and seeds."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from huggingface_hub import ModelCard
from tabulate import tabulate

from .._utils.licences import common_licence
from ..evaluation.results import Member, Results, Score, mean_text, range_text, results_table, title
from .card import (
    CardContent,
    DataSource,
    Measured,
    columns_text,
    history_note,
    lengths_text,
    limits_text,
    plain,
    settings_table,
    shown,
)


CONTROLS = {
    "teacher": "the teacher",
    "student_no_kd": "the same student without distillation",
    "linear": title("linear"),
    "seasonal_naive": title("seasonal_naive"),
}
_OBJECTIVE = (
    "alpha", "beta", "num_scales", "temperature", "kl_reduction", "kl_floor", "teacher_loss", "loss",
    "frequency_weight",
)  # fmt: skip
_TRAINING = (
    "recipe", "teacher_weights", "shrinkage", "max_parameters", "learning_rate", "lr_scheduler_type",
    "lr_epoch_decay", "weight_decay", "max_grad_norm", "num_train_epochs", "max_steps",
    "step_limit", "early_stopping_patience", "per_device_train_batch_size", "series_per_batch", "world_size", "seed",
)  # fmt: skip
_REPLACES = {"lr_epoch_decay": "lr_scheduler_type", "series_per_batch": "per_device_train_batch_size"}
_OF_COMBINATIONS = ("teacher_weights", "shrinkage", "max_parameters")


def student_card(
    results: Results | Mapping,
    repo: str,
    *,
    plots: Sequence[str] = ("forecast.png",),
    license: str | None = None,
    history_file: str = "history.csv",
    how_to_make: str | None = None,
    has_code: bool = True,
) -> ModelCard:
    """The card of a distilled student.

    Args:
        results: of its run, or the content of `results.json`.
        repo: Hub id, or the folder's name, that the snippets load.
        plots: file names that lie beside the card.
        license: of the weights; the teacher's where `None` and that is known, else the card says that it is open.
        history_file: the table that the snippet reads.
        how_to_make: what is to be said before the snippets.
        has_code: whether the student's code lies beside its weights.
    """
    run = Results.from_dict(results)
    teacher, (context, horizon) = run.teacher, _lengths(run)
    licences = list(teacher.licences or [{}]) if run.is_distilled else [{}]
    return run_card(
        [run],
        repo,
        title=f"{plain(run.data.name)}: {context} to {horizon} steps",
        summary=(
            f"A small student of TimeDistill ({run.settings['architecture']}, {run.student.parameters:,} parameters). "
            f"It {lengths_text(context, horizon, run.data.columns)}."
        ),
        base_model=list(teacher.hub_ids),
        licence={"license": license} if license else common_licence(licences),
        teachers_licences=licences,
        plots=plots,
        history_file=history_file,
        how_to_make=how_to_make,
        loads_without_package=has_code,
    )


def run_card(runs: Sequence[Results], repo: str, **content) -> ModelCard:
    """The card of one student, or of those of several horizons and seeds, on the same data with the same teachers.

    Args:
        runs: in order of horizon and seed.
        repo: of the first of them.
        content: further fields of [`CardContent`].
    """
    first = runs[0]
    context, horizon = _lengths(first)
    data = first.data
    return CardContent(
        repo=repo,
        sections=[
            ("Lineage", _lineage(runs)),
            ("Data", _data(runs)),
            ("Training", _training(runs)),
            ("Results", _results(runs)),
        ],
        limits=_limits(runs),
        version=first.versions["timedistill_hf"],
        is_distilled=True,
        context_length=context,
        prediction_length=horizon,
        num_input_channels=len(data.columns),
        data=_source(first),
        measured=[
            Measured({"mse": student.mse, "mae": student.mae}, "test", context, length, seeds=len(cell))
            for length, cell in by_horizon(runs).items()
            for student in [mean_scores(cell)["student"]]
        ],
        history=history_note(data.columns, context, data.timestamp_column, first.settings["id_column"]),
        **content,
    ).card()


def taught_by(name: str | None, alpha: float, beta: float, loss: str, about: str = "") -> str:
    """How a student was distilled.

    Args:
        name: of the teacher, where it is known.
        alpha, beta: its weights; beta 0 where the feature terms were off.
        loss: against the truth, `"mse"` or `"mae"`.
        about: the teacher, for brackets after its name.
    """
    error = {"mse": "the squared error", "mae": "the absolute error"}[loss]
    if not alpha and not beta:
        return f"Trained on {error} against the truth alone: the teacher's weights are 0."
    teacher = f"**{plain(name)}**{about}" if name else "a teacher whose stored signal came with the training windows"
    weights = f"weight alpha {alpha:g} on its forecast, its feature unused,"
    if beta:
        weights = f"weights alpha {alpha:g} on its forecast and beta {beta:g} on its feature"
    return f"Distilled from {teacher}, with the {weights} beside {error} against the truth."


def by_horizon(runs: Sequence[Results]) -> dict[int, list[Results]]:
    """The runs of each horizon."""
    found: dict[int, list[Results]] = {}
    for run in runs:
        found.setdefault(_lengths(run)[1], []).append(run)
    return found


def mean_scores(cell: Sequence[Results]) -> dict[str, Score]:
    """The score of each model that all runs have, averaged over them."""
    found = {}
    for role in cell[0].roles:
        scores = [run.models[role] for run in cell if role in run.models]
        if len(scores) == len(cell):
            names = ("mse", "mae", "parameters", "milliseconds")
            found[role] = Score(**{name: statistics.fmean(getattr(each, name) for each in scores) for name in names})
    return found


def _lengths(run: Results) -> tuple[int, int]:
    return run.settings["context_length"], run.settings["prediction_length"]


def _source(run: Results) -> DataSource:
    return DataSource.of(run.data.name, run.settings["hub_config"])


def _lineage(runs: Sequence[Results]) -> str:
    name, about = runs[0].teacher.name, f" ({_teachers_error(runs)})"
    teacher = f"**{plain(name)}**{about}"
    distilled = sum(run.is_distilled for run in runs)
    if distilled == 0:
        said = f"The teacher was not used{_why_not(runs[0])}; {teacher} is there for comparison."
    elif distilled < len(runs):
        said = f"Distilled from {teacher} in {distilled} of {len(runs)} runs; in the others the teacher was not used."
    elif runs[0].members:
        share = statistics.fmean(
            sum(member.weight for member in run.members.values() if run.is_taught(member)) for run in runs
        )
        said = f"Distilled from {teacher}: members trained with the teacher have {share:.0%} of the weight."
    else:
        settings = runs[0].settings
        beta = settings["beta"] if runs[0].uses_feature else 0
        said = taught_by(name, settings["alpha"], beta, settings["loss"], about)
    return "\n\n".join(part for part in (said, _members(runs), _teachers(runs)) if part)


def _teachers_error(runs: Sequence[Results]) -> str:
    if any("teacher" not in run.models for run in runs):
        return "its forecasts do not cover the test windows"
    scores = {horizon: mean_scores(cell)["teacher"].mse for horizon, cell in by_horizon(runs).items()}
    shown = (f"{mse:.4f}{f' at {horizon} steps' if len(runs) > 1 else ''}" for horizon, mse in scores.items())
    return f"test MSE {', '.join(shown)}, on standardised values"


def _why_not(run: Results) -> str:
    if run.members:
        return ": on validation, members without it did better"
    return ": alpha and beta are 0" if run.uses_feature else ": alpha is 0, and its features were not stored"


def _members(runs: Sequence[Results]) -> str:
    """Of combinations: the candidates that count in some run."""
    runs = [run for run in runs if run.members]
    if not runs:
        return ""
    found: dict[tuple, list[Member]] = {}
    for member in (member for run in runs for member in run.members.values()):
        found.setdefault((member.form, member.alpha, member.beta), []).append(member)
    rows = []
    for (form, alpha, beta), members in found.items():
        counted = [member for member in members if member.weight]
        if counted:
            mse = [statistics.fmean(values) for values in zip(*((m.validation_mse, m.mse) for m in members))]
            weight = sum(member.weight for member in members) / len(runs)
            size = range_text([member.parameters for member in members])
            row = [plain(form), f"{alpha:g}", f"{beta:g}", f"{weight:.3f}", *(f"{value:.4f}" for value in mse), size]
            rows.append([*row, *([f"{len(counted)} of {len(runs)}"] if len(runs) > 1 else [])])
    several = ["counts in runs"] if len(runs) > 1 else []
    headers = ["member", "alpha", "beta", "weight", "validation MSE", "test MSE", "parameters", *several]
    unused = "" if runs[0].uses_feature else " The teacher's features were not stored: a beta above 0 had no effect."
    return (
        f"Of {len(found)} candidates {len(rows)} count.{unused} Members, their weights and the teacher's weight in "
        "each (alpha on its forecast, beta on its feature) were chosen on the validation windows, which therefore "
        "look better than new data will. Members that are linear are folded into one map, so that the student is "
        f"smaller than their sum.\n\n{_table(rows, headers, 1)}"
    )


def _teachers(runs: Sequence[Results]) -> str:
    """The teachers one by one, and how several were combined."""
    first = runs[0]
    sources = first.settings["teacher"]
    if first.teacher.mix is None:
        return f"The teacher was {_origin(sources[0], first)}."
    rows = []
    for index, (name, source) in enumerate(zip(first.teacher.mix["members"], sources, strict=True)):
        weights = range_text([run.teacher.mix["weights"][index] for run in runs], ".3f")
        scores = [run.models[f"teacher_{name}"] for run in runs if f"teacher_{name}" in run.models]
        mse = mean_text([score.mse for score in scores]) if scores else "-"
        rows.append([name, _origin(source, first), weights, mse, range_text([score.parameters for score in scores])])
    how = "weights from the validation windows, with a pull towards equal ones"
    if first.settings["teacher_mix"] == "mean":
        how = "equal weights"
    table = _table(rows, ["teacher", "where from", "weight", "test MSE", "parameters"], 2)
    return f"The teachers' forecasts are averaged with {how}.\n\n{table}"


def _origin(source: str, run: Results) -> str:
    from ..signal_store.table import is_table
    from ..teachers import FAMILIES

    if source in run.teacher.hub_ids:
        return f"taken from the Hub: [{source}](https://huggingface.co/{source})"
    if is_table(source):
        return "a table of forecasts, without a model"
    return "trained in this run, on the same train rows" if source in FAMILIES else "trained before this run"


def _data(runs: Sequence[Results]) -> str:
    """Which data, in which parts, and how to tell whether others are the same."""
    data = runs[0].data
    prints = ", ".join(f"`{mark}`" for mark in dict.fromkeys(run.data.fingerprint for run in runs))
    note = f" {plain(data.note)[:1].upper()}{plain(data.note)[1:]}." if data.note else ""
    parts = ", ".join(
        f"{name} {last - first:,} rows ({range_text([run.data.windows[name] for run in runs])} windows)"
        for name, (first, last) in data.rows.items()
    )
    return (
        f"{_source(runs[0]).text}, fingerprint {prints}.{note} {columns_text(data.columns, data.freq, data.season)} "
        f"In order of time: {parts}. Each channel is standardised with the mean and deviation of its train rows."
    )


def _training(runs: Sequence[Results]) -> str:
    """Objective and settings; where runs differ, all values."""
    shown = {name: _values(runs, name) for name in (*_OBJECTIVE, *_TRAINING)}
    for name, replaced in _REPLACES.items():
        if shown[name]:
            shown[replaced] = None
    if not any(run.members for run in runs):
        shown |= dict.fromkeys(_OF_COMBINATIONS)
    versions = [f"{name} {runs[0].versions[name]}" for name in ("timedistill_hf", "torch", "transformers")]
    return (
        "Objective: the error against the truth, plus alpha times the multi-scale and multi-period distance to the "
        "teacher's forecast, plus beta times the same between features "
        f"([paper](https://arxiv.org/abs/2502.15016), section 4).\n\n"
        f"{settings_table(shown | {'made with': ', '.join(versions)})}"
    )


def _values(runs: Sequence[Results], name: str) -> str | None:
    found = (run.settings.get(name) for run in runs)
    return ", ".join(dict.fromkeys(shown(value) for value in found if value not in (None, "None", -1))) or None


def _results(runs: Sequence[Results]) -> str:
    """A table with all controls for each horizon, and what it says in a sentence."""
    spread = ", the middle half of the rounds beside the median" if runs[0].latency and len(runs) == 1 else ""
    seeds = " A mean over seeds is followed by its range." if len(runs) > 1 else ""
    parts = [
        "All test windows; MSE and MAE on values standardised with the train rows' mean and deviation; MASE in the "
        f"data's units, against a season of {runs[0].data.season} steps; milliseconds of 32 windows on "
        f"{'; '.join(sorted({run.measured_on for run in runs}))}{spread}.{seeds}"
    ]
    for horizon, cell in by_horizon(runs).items():
        seeds = ", ".join(str(run.settings["seed"]) for run in cell)
        if len(runs) > 1:
            parts.append(f"### {horizon} steps, seed{'s' if len(cell) > 1 else ''} {seeds}")
        parts += [results_table(cell), _comparison(mean_scores(cell))]
    return "\n\n".join(part for part in parts if part)


def _comparison(models: Mapping[str, Score]) -> str:
    """The student's MSE against each of the others that are there, in per cent."""
    student, said = models["student"].mse, []
    for role, name in CONTROLS.items():
        if role in models:
            change = 100 * (student / models[role].mse - 1)
            said.append(f"{abs(change):.1f} % {'below' if change < 0 else 'above'} {name} ({models[role].mse:.4f})")
    return f"In test MSE the student ({student:.4f}) is {'; '.join(said)}." if said else ""


def _limits(runs: Sequence[Results]) -> str:
    """What it is not for, and what the controls say against it, a line a horizon."""
    cells = by_horizon(runs)
    common = f"{limits_text(_lengths(runs[0])[0])} It uses no calendar or other covariates."
    if all(len(cell) == 1 for cell in cells.values()):
        common += " All figures are of one seed: small differences may be chance."
    against = {horizon: " ".join(_against(cell)) for horizon, cell in cells.items()}
    if len(runs) == 1:
        return f"{common} {' '.join(against.values())}".strip()
    lines = [f"- {horizon} steps: {text}" for horizon, text in against.items() if text]
    return "\n".join([common, *([""] if lines else []), *lines])


def _against(cell: Sequence[Results]) -> Iterable[str]:
    """Sentences, none where nothing speaks against the student."""
    models = mean_scores(cell)
    student = models["student"]
    better = [name for role, name in CONTROLS.items() if role in models and models[role].mse < student.mse]
    if better:
        yield f"On these test windows a lower MSE than this student's had: {', '.join(better)}."
    if not any(run.is_distilled for run in cell):
        yield "The teacher was not used."
    teacher = models.get("teacher")
    if teacher is not None and student.milliseconds >= teacher.milliseconds:
        yield (
            f"It was not faster than its teacher where this was measured ({student.milliseconds:.1f} against "
            f"{teacher.milliseconds:.1f} ms)."
        )


def _table(rows: list, headers: list[str], left: int) -> str:
    align = ["left"] * left + ["right"] * (len(headers) - left)
    return tabulate(rows, headers, "github", disable_numparse=True, colalign=align)
