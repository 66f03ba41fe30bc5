"""The plots of a run: those that it writes beside its card, and the same again from its folder."""

import logging
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import torch
from torch import nn

from .._utils.errors import InputError
from .._utils.files import read_json
from .._utils.run_folder import HISTORY, RESULTS
from ..data import load_data
from ..data.windows import ForecastData
from ..evaluation.results import Results
from ..settings.outputs import PlotSettings
from ..settings.run import DataSettings
from ..signal_store.table import TableTeacher, is_table
from ..teachers import FAMILIES, FrozenTeacher
from ..teachers.combined import SeveralTeachers
from ..teachers.loading import load_model, load_processor, load_teacher_for
from .accuracy import accuracy_figure
from .forecast import forecast_figure
from .losses import loss_figure
from .multi_period import multi_period_figure
from .multi_scale import multi_scale_figure
from .sample import sample_forecasts
from .style import save_figure


logger = logging.getLogger(__name__)

FORECAST, MULTI_SCALE, MULTI_PERIOD, LOSSES, ACCURACY = PLOTS = (
    "forecast.png", "multi_scale.png", "multi_period.png", "losses.png", "accuracy.png"
)  # fmt: skip


def plot_run(
    output: Path,
    run: Path,
    data: ForecastData,
    models: Mapping[str, nn.Module],
    results: Results | Mapping,
    device: torch.device | str = "cpu",
) -> list[str]:
    """Draw all plots of a run that there are numbers for, and give their file names in `output`.

    Args:
        run: its folder, for the trainers' logs.
        data: with calendar features where the teacher needs them.
        models: `"student"` and, where it can be had, `"teacher"`, on `device`.
        results: of the run, or what `results.json` holds or will hold.
    """
    results = Results.from_dict(results)
    settings = results.settings
    sample = sample_forecasts(data, models, device=device)
    figures = {
        FORECAST: forecast_figure(sample),
        MULTI_SCALE: multi_scale_figure(sample, settings["num_scales"], settings["teacher_loss"]),
        MULTI_PERIOD: multi_period_figure(sample, settings["temperature"]),
        LOSSES: loss_figure(histories(run, results)),
        ACCURACY: accuracy_figure([results]),
    }
    drawn = {name: figure for name, figure in figures.items() if figure is not None}
    for name, figure in drawn.items():
        save_figure(figure, output / name)
    return list(drawn)


def histories(run: Path, results: Results) -> dict[str, list[dict]]:
    """The trainers' logs that a run's folder holds, by what they trained; of a combination, those that count first."""
    own = read_json(run / HISTORY, [])
    if isinstance(own, dict):  # of a combination's candidates
        members = results.members
        names = sorted(own, key=lambda name: -members[name].weight if name in members else 0)
        found = {f"{members[name].form}, alpha {members[name].alpha:g}": own[name] for name in names}
    else:
        found = {"student": own, "the same without teacher": read_json(run / "controls/student_no_kd" / HISTORY, [])}
    return found | {"teacher": read_json(run / "teacher" / HISTORY, [])}


def replot(settings: PlotSettings) -> list[Path]:
    """The plots of a finished run anew, from its folder and its data; or one of many runs' results.

    Returns:
        the files that were written.

    Raises:
        InputError: there is no finished run, its data are not there or not the same, or the files exist already.
    """
    output = Path(settings.output_folder)
    if settings.results is not None:
        figure = accuracy_figure([_read(path) for path in settings.results])
        output.mkdir(parents=True, exist_ok=True)
        return [save_figure(figure, output / ACCURACY)]
    run = Path(settings.run)
    results = _read(run / RESULTS)
    data = _data(run, results, settings)
    student, _ = load_model(str(run))
    models: dict[str, nn.Module] = {"student": student}
    try:
        models["teacher"] = _teacher(run, results, data)
    except InputError as error:
        logger.warning("Plotted without the teacher: %s", error)
    else:
        data = models["teacher"].prepare(data)
    output.mkdir(parents=True, exist_ok=True)
    return [output / name for name in plot_run(output, run, data, models, results)]


def _read(path: str | Path) -> Results:
    results = Results.from_json(path)
    if "student" not in results.models or not results.settings:
        raise InputError(f"{str(path)!r} holds no results of a run: give those of a finished one")
    return results


def _data(run: Path, results: Results, settings: PlotSettings) -> ForecastData:
    known = {field.name for field in fields(DataSettings)}
    of_run = {name: value for name, value in results.settings.items() if name in known}
    given = {name: value for name in ("dataset", "data_dir") if (value := getattr(settings, name)) is not None}
    data = load_data(DataSettings(**of_run | given), processor=load_processor(str(run)))
    if data.series.fingerprint() != results.data.fingerprint:
        raise InputError(
            f"the data ({data.series.name}, fingerprint {data.series.fingerprint()}) are not those of {str(run)!r} "
            f"({results.data.fingerprint}): name them with `dataset` and `data_dir`"
        )
    return data


def _teacher(run: Path, results: Results, data: ForecastData) -> FrozenTeacher:
    """What taught the run's student."""
    sources = results.settings["teacher"]
    if is_table(sources[0]):
        return TableTeacher(sources[0], data)
    trained_here = run / "teacher"
    places = [
        (trained_here if len(sources) == 1 else trained_here / name) if name in FAMILIES else name for name in sources
    ]
    revision = results.settings["teacher_revision"]
    teachers = [load_teacher_for(str(place), data, revision) for place in places]
    if len(teachers) == 1:
        return teachers[0]
    return SeveralTeachers(teachers, results.teacher.mix["weights"])
