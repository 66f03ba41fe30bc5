"""The card of a distilled student, filled from the results of its run."""

from collections.abc import Sequence

from huggingface_hub import ModelCard

from .._utils.licences import common_licence
from ..evaluation.report import TITLES, measured_on, results_table
from .card import CardContent, DataSource, Measured, history_note, names, plain, settings_table
from .lineage import heard_teacher, hub_ids, licences, lineage


CONTROLS = ("teacher", "student_no_kd", "linear", "seasonal_naive")
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
    results: dict,
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
        results: the content of `results.json`.
        repo: Hub id, or the folder's name, that the snippets load.
        plots: file names that lie beside the card.
        license: of the weights; the teacher's where `None` and that is known, else the card says that it is open.
        history_file: the table that the snippet reads.
        how_to_make: what is to be said before the snippets.
        has_code: whether the student's code lies beside its weights.
    """
    settings, data, student = results["settings"], results["data"], results["models"]["student"]
    source = data_source(results)
    columns = data["columns"]
    lengths = {name: settings[name] for name in ("context_length", "prediction_length")}
    return CardContent(
        repo=repo,
        title=f"{plain(data['name'])}: {settings['context_length']} to {settings['prediction_length']} steps",
        summary=(
            f"A small student of TimeDistill ({settings['architecture']}, {student['parameters']:,} parameters). It "
            f"looks back {settings['context_length']} steps and forecasts the next {settings['prediction_length']} of "
            f"{channels(columns)}."
        ),
        sections=[
            ("Lineage", lineage(results)),
            ("Data", data_text(results)),
            ("Training", training_text([results])),
            ("Results", results_text(results)),
        ],
        limits=limits(results),
        version=results["versions"]["timedistill_hf"],
        is_distilled=True,
        **lengths,
        num_input_channels=len(columns),
        data=source,
        measured=[Measured({name: student[name] for name in ("mse", "mae")}, "test", **lengths)],
        base_model=hub_ids(results),
        licence={"license": license} if license else common_licence(licences(results)),
        teachers_licences=licences(results),
        plots=plots,
        history_file=history_file,
        how_to_make=how_to_make,
        history=history_note(
            columns,
            settings["context_length"],
            data["timestamp_column"],
            settings["id_column"],
        ),
        loads_without_package=has_code,
    ).card()


def data_source(results: dict) -> DataSource:
    return DataSource.of(results["data"]["name"], results["settings"]["hub_config"])


def channels(columns: Sequence[str]) -> str:
    return f"{len(columns)} channels" if len(columns) > 1 else f"`{plain(columns[0])}`"


def data_text(results: dict) -> str:
    """Which data, in which parts, and how to tell whether others are the same."""
    data = results["data"]
    note = f" {plain(data['note'])[:1].upper()}{plain(data['note'])[1:]}." if data["note"] else ""
    windows = data["windows"]
    parts = ", ".join(
        f"{name} {last - first:,} rows ({windows[name]:,} windows)" for name, (first, last) in data["rows"].items()
    )
    every = f", a step every {data['freq']}" if data["freq"] else ""
    return (
        f"{data_source(results).text}, fingerprint `{data['fingerprint']}`.{note} {len(data['columns'])} "
        f"channel{'s' if len(data['columns']) > 1 else ''} ({names(data['columns'])}){every}, a season of "
        f"{data['season']} steps. In order of time: {parts}. Each channel is standardised with the mean and deviation "
        "of its train rows."
    )


def training_text(runs: Sequence[dict]) -> str:
    """Objective and settings; where runs differ, all values."""
    objective = {name: _values(runs, name) for name in _OBJECTIVE}
    training = {name: _values(runs, name) for name in _TRAINING}
    for name, replaced in _REPLACES.items():
        if training[name] is not None:
            training[replaced] = None
    if not any(run.get("members") for run in runs):
        training |= dict.fromkeys(_OF_COMBINATIONS)
    versions = [f"{name} {runs[0]['versions'][name]}" for name in ("timedistill_hf", "torch", "transformers")]
    return (
        "Objective: the error against the truth, plus alpha times the multi-scale and multi-period distance to the "
        "teacher's forecast, plus beta times the same between features "
        "([paper](https://arxiv.org/abs/2502.15016), section 4).\n\n"
        f"{settings_table(objective | training | {'made with': ', '.join(versions)})}"
    )


def _values(runs: Sequence[dict], name: str) -> str | None:
    found = [run["settings"].get(name) for run in runs]
    shown = [_shown(value) for value in found if value not in (None, "None", -1)]
    return ", ".join(dict.fromkeys(shown)) or None


def _shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "; ".join(plain(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else plain(value)


def results_text(results: dict) -> str:
    """The table with all controls, and what it says in a sentence."""
    spread = ", the middle half of the rounds beside the median" if "latency" in results else ""
    return (
        "All test windows; MSE and MAE on values standardised with the train rows' mean and deviation; MASE in the "
        f"data's units, against a season of {results['data']['season']} steps; milliseconds of 32 windows on "
        f"{measured_on(results)}{spread}.\n\n{results_table(results['models'])}\n\n"
        f"{comparison(results['models'])}"
    )


def comparison(models: dict[str, dict]) -> str:
    """The student's MSE against each of the others that are there, in per cent."""
    student = models["student"]["mse"]
    said = []
    for role in CONTROLS:
        if role in models:
            change = 100 * (student / models[role]["mse"] - 1)
            side = "below" if change < 0 else "above"
            said.append(f"{abs(change):.1f} % {side} {_called(role)} ({models[role]['mse']:.4f})")
    if not said:
        return ""
    return f"In test MSE the student ({student:.4f}) is {'; '.join(said)}."


def _called(role: str) -> str:
    called = {"teacher": "the teacher", "student_no_kd": "the same student without distillation"}
    return called.get(role, TITLES[role])


def limits(results: dict) -> str:
    """What it is not for, and what the controls say against this student."""
    return " ".join(
        [
            f"Trained on one data set with one split; nothing is known about others. It reads exactly "
            f"{results['settings']['context_length']} steps, gives point forecasts without uncertainty and uses no "
            "calendar or other covariates. All figures are of one seed: small differences may be chance.",
            *against(results["models"], heard_teacher(results)),
        ]
    )


def against(models: dict[str, dict], heard: bool) -> list[str]:
    """Sentences, none where nothing speaks against the student."""
    student, said = models["student"], []
    better = [_called(role) for role in CONTROLS if role in models and models[role]["mse"] < student["mse"]]
    if better:
        said.append(f"On these test windows a lower MSE than this student's had: {', '.join(better)}.")
    if not heard:
        said.append("It owes nothing to its teacher.")
    if "teacher" in models and student["milliseconds"] >= models["teacher"]["milliseconds"]:
        said.append(
            f"It was not faster than its teacher where this was measured ({student['milliseconds']:.1f} against "
            f"{models['teacher']['milliseconds']:.1f} ms)."
        )
    return said
