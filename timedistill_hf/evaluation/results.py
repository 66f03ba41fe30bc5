"""The results of a run: one typed record, kept as `results.json`, that cards, plots and benchmarks read."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from .._utils.errors import InputError
from .._utils.files import write_json
from .._utils.run_folder import STORED_FORECASTS


if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
_TITLES = {
    "student": "student",
    "student_no_kd": "student, no distillation",
    "teacher": "teacher",
    "linear": "one linear layer",
    "seasonal_naive": "seasonal naive",
}
_OPTIONAL = {"optional": True}  # a field that is written only where it holds something


@dataclass(frozen=True)
class Units:
    """Errors in the data's units, and the season that MASE refers to; NaN where unknown."""

    mae: float = math.nan
    rmse: float = math.nan
    smape: float = math.nan
    mase: float = math.nan
    season: int | None = None


@dataclass(frozen=True)
class Spread:
    """Milliseconds of a forecast: median and quartiles of that many rounds."""

    median: float
    low: float
    high: float
    rounds: int = 1


@dataclass(frozen=True)
class Score:
    """What is known of one model.

    Args:
        mse, mae: on standardised values, over all test windows.
        milliseconds: of a forecast of 32 windows, the median.
        latency: by the number of windows.
    """

    mse: float
    mae: float
    units: Units = Units()
    parameters: int | None = field(default=None, metadata=_OPTIONAL)
    milliseconds: float | None = field(default=None, metadata=_OPTIONAL)
    latency: Mapping[str, Spread] = field(default_factory=dict, metadata=_OPTIONAL)


@dataclass(frozen=True)
class Member:
    """A candidate of a combined student.

    Args:
        form, kind: its architecture, with and without its details.
        alpha, beta: weights of the teacher's forecast and feature in its training.
        weight, weight_no_kd: its share in the student, and in the one without distillation.
        validation_mse, mse: on the validation and the test windows.
    """

    form: str
    alpha: float
    beta: float
    kind: str = ""
    parameters: int | None = None
    weight: float = 0.0
    weight_no_kd: float = 0.0
    validation_mse: float | None = None
    mse: float | None = None


@dataclass(frozen=True)
class DataInfo:
    """The data: name, columns, the rows (first, last + 1) and windows of each part, steps of a season."""

    name: str = ""
    note: str = ""
    fingerprint: str = ""
    columns: Sequence[str] = ()
    rows: Mapping[str, Sequence[int]] = field(default_factory=dict)
    windows: Mapping[str, int] = field(default_factory=dict)
    season: int | None = None
    freq: str | None = None
    timestamp_column: str | None = None


@dataclass(frozen=True)
class TeacherInfo:
    """The teacher.

    Args:
        source: what was asked for: families, folders, Hub ids or tables of forecasts.
        signal: how students were given it.
        mix: of several teachers, their names (`members`) and `weights`.
        hub_ids, licences: of those from the Hub.
        windows, validation_mse: of a table of forecasts: the windows that it covers, by part, and its error.
    """

    name: str = ""
    source: Sequence[str] = ()
    signal: str = ""
    mix: Mapping | None = field(default=None, metadata=_OPTIONAL)
    hub_ids: Sequence[str] = field(default=(), metadata=_OPTIONAL)
    licences: Sequence[Mapping[str, str]] = field(default=(), metadata=_OPTIONAL)
    windows: Mapping[str, int] = field(default_factory=dict, metadata=_OPTIONAL)
    validation_mse: float | None = field(default=None, metadata=_OPTIONAL)


@dataclass(frozen=True)
class Results:
    """All that a run found.

    Args:
        models: by role: `"student"`, `"teacher"`, `"student_no_kd"`, ...
        settings: of the run, by name.
        members: of a combined student, its candidates by name.
        validation_mse, error_products: of a combined student: its validation error by role; the mean products of its
            candidates' errors, by part.
        hardware, versions: where the run was at work and with what.
        latency: how milliseconds were measured; empty in results of before that was recorded.
        other: what else the file holds, by name.
        version: of this layout.
    """

    models: Mapping[str, Score]
    data: DataInfo = DataInfo()
    teacher: TeacherInfo | None = field(default=None, metadata=_OPTIONAL)
    settings: Mapping = field(default_factory=dict)
    members: Mapping[str, Member] = field(default_factory=dict, metadata=_OPTIONAL)
    validation_mse: Mapping[str, float] = field(default_factory=dict, metadata=_OPTIONAL)
    error_products: Mapping[str, Sequence] = field(default_factory=dict, metadata=_OPTIONAL)
    hardware: Mapping = field(default_factory=dict)
    latency: Mapping = field(default_factory=dict, metadata=_OPTIONAL)
    versions: Mapping[str, str] = field(default_factory=dict)
    other: Mapping = field(default_factory=dict)
    version: int = VERSION

    @classmethod
    def from_dict(cls, content: "Mapping | Results") -> "Results":
        """From what `to_dict` gives; results of before there was a version are read as of version 1.

        Raises:
            InputError: it holds no results, or those of a later version.
        """
        if isinstance(content, Results):
            return content
        try:
            if content.get("version", VERSION) > VERSION:
                raise InputError(
                    f"results of version={content['version']!r}, expected at most {VERSION}: install a newer "
                    "timedistill_hf"
                )
            teacher = content.get("teacher")
            known = {each.name for each in fields(cls)} - {"other"}
            return _read(
                cls,
                content,
                models={role: _score(score) for role, score in content["models"].items()},
                data=_data(content.get("data", {})),
                teacher=None if teacher is None else _read(TeacherInfo, teacher),
                members={name: _read(Member, each) for name, each in content.get("members", {}).items()},
                other={name: value for name, value in content.items() if name not in known},
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError("no results of a run: give what a finished one wrote as results.json") from error

    @classmethod
    def from_json(cls, path: str | Path) -> "Results":
        """From a file; an [`InputError`] names it where it cannot be read or holds no results."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except InputError as error:
            raise InputError(f"{str(path)!r} holds {error}") from error
        except (OSError, ValueError) as error:
            raise InputError(f"{str(path)!r} cannot be read ({error}): give the results.json of a run") from error

    def to_dict(self) -> dict:
        """For JSON, as `results.json` has it."""
        content = _plain(self)
        return content | content.pop("other")

    def to_json(self, path: str | Path) -> None:
        """Write it, whole or not at all; NaN becomes null."""
        write_json(path, self.to_dict())

    @property
    def student(self) -> Score:
        return self.models["student"]

    @property
    def roles(self) -> list[str]:
        """The models in the order of tables: student, controls and teachers, then others."""
        places = {role: place for place, role in enumerate(_TITLES)}
        places |= {role: places["teacher"] for role in self.models if role.startswith("teacher_")}
        return sorted(self.models, key=lambda role: places.get(role, len(places)))

    @property
    def uses_feature(self) -> bool:
        """Whether students that were to learn from the teacher's feature had it."""
        return self.teacher is not None and self.teacher.signal != STORED_FORECASTS

    @property
    def is_distilled(self) -> bool:
        """Whether a teacher has a part in the student that is saved."""
        if self.members:
            return any(member.weight and self.is_taught(member) for member in self.members.values())
        return bool(self.settings["alpha"] or (self.settings["beta"] and self.uses_feature))

    def is_taught(self, member: Member) -> bool:
        """Whether a teacher has a part in a candidate."""
        return bool(member.alpha or (member.beta and self.uses_feature))

    @property
    def measured_on(self) -> str:
        """How milliseconds were measured, such as "cpu, 1 thread, processor time"."""
        about = self.latency or self.hardware
        threads = f"{about['threads']} thread{'s' if about['threads'] != 1 else ''}"
        return f"{about['device']}, {threads}, {about.get('clock', 'wall time')}"

    def table(self, tablefmt: str = "github") -> str:
        """The models as a table for people: test errors, size, time."""
        return results_table([self], tablefmt)

    def leaderboard(self) -> "pd.DataFrame":
        """The models, the lowest test MSE first: `model`, `MSE`, `MAE`, `MASE`, `parameters`, `milliseconds`."""
        import pandas as pd

        rows = [
            {
                "model": title(role),
                "MSE": score.mse,
                "MAE": score.mae,
                "MASE": score.units.mase,
                "parameters": score.parameters,
                "milliseconds": score.milliseconds,
            }
            for role, score in ((role, self.models[role]) for role in self.roles)
        ]
        return pd.DataFrame(rows).sort_values("MSE", kind="stable", ignore_index=True)


def title(role: str) -> str:
    """What a table calls the model of that role."""
    return _TITLES.get(role, role.replace("_", " ", 1))


def results_table(runs: Sequence[Results], tablefmt: str = "github") -> str:
    """The models that all runs have: test errors, size, time; of several seeds the mean and the range."""
    rows = []
    for role in runs[0].roles:
        scores = [run.models[role] for run in runs if role in run.models]
        if len(scores) == len(runs):
            errors = [mean_text([score.mse for score in scores]), mean_text([score.mae for score in scores])]
            mase = mean_text([score.units.mase for score in scores], 3)
            sizes = [score.parameters for score in scores if score.parameters is not None]
            rows.append([title(role), *errors, mase, range_text(sizes), milliseconds_text(scores)])
    headers = ["model", "MSE", "MAE", "MASE", "parameters", "ms, batch 32"]
    align = ("left", *["right"] * 5)
    return tabulate(rows, headers=headers, tablefmt=tablefmt, disable_numparse=True, colalign=align)


def milliseconds_text(scores: Sequence[Score]) -> str:
    """Of a batch of 32, with the middle half of the rounds; of several seeds the mean of the medians and their range.

    Results that were written before there was a spread have none.
    """
    values = [score.milliseconds for score in scores if score.milliseconds is not None]
    if not values:
        return "-"
    low, high = min(values), max(values)
    if len(scores) == 1 and scores[0].latency:
        low, high = scores[0].latency["32"].low, scores[0].latency["32"].high
    middle, low, high = (f"{value:.3g}" if value < 10 else f"{value:.1f}" for value in (fmean(values), low, high))
    return middle if low == high else f"{middle} ({low} to {high})"


def mean_text(values: Sequence[float], digits: int = 4) -> str:
    """The mean, and the range where there is one."""
    mean, low, high = (f"{value:.{digits}f}" for value in (fmean(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"


def range_text(values: Sequence[float], form: str = ",") -> str:
    """The lowest and the highest, or the one that there is; a dash for none."""
    low, high = (f"{value:{form}}" for value in (min(values), max(values))) if values else ("-", "-")
    return low if low == high else f"{low} to {high}"


def _read(kind: type, content: Mapping, **replaced):
    """A dataclass from those entries that it has fields for."""
    known = {each.name for each in fields(kind)}
    return kind(**{name: value for name, value in content.items() if name in known} | replaced)


def _score(content: Mapping) -> Score:
    content = _with_nan(content)
    units = _read(Units, _with_nan(content.get("units", {})))
    latency = {windows: _read(Spread, each) for windows, each in content.get("latency", {}).items()}
    return _read(Score, content, mse=float(content["mse"]), mae=float(content["mae"]), units=units, latency=latency)


def _data(content: Mapping | str) -> DataInfo:
    """Teachers' own results hold the name alone, those of a saved model the number of test windows alone."""
    if isinstance(content, str):
        return DataInfo(name=content)
    windows = content.get("windows", {})
    return _read(DataInfo, content, windows={"test": windows} if isinstance(windows, int) else windows)


def _with_nan(content: Mapping) -> dict:
    """JSON has no NaN: it was written as null."""
    return {name: math.nan if value is None else value for name, value in content.items()}


def _plain(value: object) -> Any:
    """Dataclasses as dicts, without what is optional and empty."""
    if is_dataclass(value):
        parts = ((each, getattr(value, each.name)) for each in fields(value))
        empty = (None, {}, (), [])
        return {each.name: _plain(part) for each, part in parts if part not in empty or not each.metadata}
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
