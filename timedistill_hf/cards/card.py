"""One template for every card, and the Hub's metadata, by huggingface_hub's own classes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from tabulate import tabulate

from .._utils.files import staged_file
from .._utils.hub import is_hub_id
from .._utils.licences import NOT_CHOSEN, said
from ..data.benchmarks import BENCHMARKS, HUB_DATASET


TASK = "time-series-forecasting"
LICENSE = "apache-2.0"  # of the weights that this project gives away
README = "README.md"
CAPTIONS = {
    "forecast.png": "Forecast of one test window",
    "multi_scale.png": "The same window at the scales of the multi-scale term",
    "multi_period.png": "Periods of the forecasts",
    "losses.png": "Losses while training",
    "accuracy.png": "Accuracy, latency and size",
}
_METRICS = ("mse", "mae")


@dataclass(frozen=True)
class DataSource:
    """What the Hub is to be told of the data.

    Args:
        name: as results have it.
        hub_id, hub_config: of the data set on the Hub, where it is there.
    """

    name: str
    hub_id: str | None = None
    hub_config: str | None = None

    @classmethod
    def of(cls, name: str, hub_config: str | None = None) -> "DataSource":
        """A benchmark, a Hub data set by its id, or data that only their name is known of.

        A file is named by its stem, which has no slash; so what looks like `user/name` is a Hub id.
        """
        benchmark = BENCHMARKS.get(name)
        if benchmark is not None and benchmark.hub_config is not None:
            return cls(name, HUB_DATASET, benchmark.hub_config)
        return cls(name, name, hub_config) if is_hub_id(name) else cls(name)

    @property
    def text(self) -> str:
        """Its name, with a link where it has a page."""
        name = f"**{plain(self.name)}**"
        if self.hub_id is None:
            return name
        config = f", `{self.hub_config}`" if self.hub_config else ""
        return f"{name} ([{self.hub_id}](https://huggingface.co/datasets/{self.hub_id}){config})"


@dataclass(frozen=True)
class Measured:
    """Errors that go into the metadata.

    Args:
        errors: `mse` and `mae` on standardised values.
        split: of the data, `"test"` or `"validation"`.
        context_length, prediction_length: in steps.
        seeds: how many runs they are the mean of.
    """

    errors: dict[str, float]
    split: str
    context_length: int
    prediction_length: int
    seeds: int = 1

    def eval_results(self, data: DataSource) -> list[EvalResult]:
        mean = f", mean of {self.seeds} seeds" if self.seeds > 1 else ""
        lengths = {"context_length": self.context_length, "prediction_length": self.prediction_length}
        return [
            EvalResult(
                task_type=TASK,
                task_name="Time Series Forecasting",
                dataset_type=data.hub_id or plain(data.name),
                dataset_name=plain(data.name),
                dataset_config=data.hub_config,
                dataset_split=self.split,
                metric_type=metric,
                metric_value=round(self.errors[metric], 5),
                metric_name=f"{self.split} {metric.upper()}, standardised values, "
                f"{self.context_length} to {self.prediction_length} steps{mean}",
                metric_args=lengths,
            )
            for metric in _METRICS
            if metric in self.errors
        ]


@dataclass(frozen=True)
class CardContent:
    """All that a card holds; what is not known is left out of it.

    Args:
        repo: Hub id, or the folder's name.
        model_name: in the metadata; the repo's last part where `None`.
        title, summary, limits: text.
        sections: heading and text of the parts between summary and use.
        context_length, prediction_length, num_input_channels: L, S and C, as far as known.
        version: of this package.
        is_distilled: whether the card tells of a distillation, whose paper is then cited.
        data: what it was trained on.
        measured: for the metadata.
        base_model: Hub ids of what it was made from.
        licence: of the weights, as [`licence_of`] gives it; empty where none is chosen, which the card then says.
        teachers_licences: what is known of those of the teachers.
        tags: more than the usual ones.
        plots: file names beside the card.
        history: what the table holds that `Forecaster` reads; `None` where there is no processor.
        loads_without_package: whether the model's code lies beside the weights.
        transformers_class: the class that loads it, where that is one of transformers'.
        history_file: that table's name.
        how_to_make: what to do before the snippets can be run.
        datasets: Hub ids of data, beside `data`.
    """

    repo: str
    title: str
    summary: str
    sections: Sequence[tuple[str, str]]
    limits: str
    version: str
    is_distilled: bool
    context_length: int | None = None
    prediction_length: int | None = None
    num_input_channels: int | None = None
    data: DataSource | None = None
    measured: Sequence[Measured] = ()
    base_model: Sequence[str] = ()
    licence: Mapping[str, str] = field(default_factory=dict)
    teachers_licences: Sequence[Mapping[str, str]] = ()
    language: str | None = None
    tags: Sequence[str] = ()
    plots: Sequence[str] = ()
    history: str | None = None
    history_file: str = "history.csv"
    loads_without_package: bool = False
    transformers_class: str | None = None
    how_to_make: str | None = None
    datasets: Sequence[str] = ()
    model_name: str | None = None

    def card(self) -> ModelCard:
        """The card; nothing here reaches the network."""
        repo = shown_repo(self.repo)
        results = [each for part in self.measured for each in part.eval_results(self.data)] if self.data else []
        datasets = [*self.datasets, *([self.data.hub_id] if self.data and self.data.hub_id else [])]
        usual = ["time-series", "forecasting", *(["distillation", "timedistill"] if self.is_distilled else [])]
        base = list(self.base_model)
        card_data = ModelCardData(
            base_model=(base[0] if len(base) == 1 else base) or None,
            datasets=list(dict.fromkeys(datasets)) or None,
            eval_results=results or None,
            language=self.language,
            library_name="timedistill_hf",
            **({"license": None} | dict(self.licence)),
            metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
            model_name=(self.model_name or repo.rpartition("/")[-1]) if results else None,
            pipeline_tag=TASK,
            tags=list(dict.fromkeys([*usual, *self.tags])),
        )
        shown_as = {each.name: getattr(self, each.name) for each in fields(self)} | {
            "repo": json.dumps(repo, ensure_ascii=False),
            "sections": [(heading, text) for heading, text in self.sections if text],
            "plots": [(CAPTIONS.get(name, name), name) for name in self.plots],
            "licence": self._licence(),
        }
        template = (files("timedistill_hf") / "templates/model_card.md").read_text(encoding="utf-8")
        card = ModelCard.from_template(card_data, template_str=template, **shown_as)
        card.content = card.content.rstrip() + "\n"
        return card

    def _licence(self) -> str:
        """What the metadata cannot say: that none is chosen, where its text is, and whose it is."""
        own = f"{plain(said(self.licence))}." if self.licence else NOT_CHOSEN
        if any(self.teachers_licences) and self.licence in self.teachers_licences:
            own = f"{own[:-1]}, which is the teacher's: what was learnt from it is bound by that too."
        elif self.licence and not self.licence.get("license_name") and not any(self.teachers_licences):
            own = ""
        others = dict.fromkeys(plain(said(each)) for each in self.teachers_licences if each and each != self.licence)
        if not others:
            return own
        return f"{own} The licence of the teacher{'s' if len(others) > 1 else ''}: {', '.join(others)}."


def save_card(card: ModelCard, folder: str | Path) -> None:
    """Write it as the folder's `README.md`, whole or not at all."""
    with staged_file(Path(folder) / README) as stage:
        card.save(stage)


def shown_repo(repo: str | Path) -> str:
    """A Hub id as it is; of a path outside the current folder only its last part: where it lay is nobody's affair."""
    path = Path(repo)
    return path.name or "model" if path.is_absolute() or ".." in path.parts else str(repo).rstrip("/")


def plain(text: object) -> str:
    """A name from the user's data without what would break a line, a table or a snippet."""
    return re.sub(r"\s+", " ", str(text)).replace("`", "'").replace("|", "/")


def names(columns: Sequence[str], most: int = 6) -> str:
    """The first few, and that there are more."""
    return ", ".join(plain(column) for column in columns[:most]) + (", ..." if len(columns) > most else "")


def lengths_text(context_length: int, horizons: int | str, columns: Sequence[str]) -> str:
    """What it forecasts from what: "looks back 96 steps and forecasts the next 24 of 6 channels"."""
    of = f" of {len(columns)} channels" if len(columns) > 1 else f" of `{plain(columns[0])}`" if columns else ""
    return f"looks back {context_length} steps and forecasts the next {horizons}{of}"


def columns_text(columns: Sequence[str], freq: str | None, season: int) -> str:
    """Channels, clock and season."""
    count = f"{len(columns)} channel{'s' if len(columns) > 1 else ''}"
    every = f", a step every {freq}" if freq else ""
    return f"{count} ({names(columns)}){every}, a season of {season} steps."


def limits_text(context_length: int | None) -> str:
    """What holds of every model here."""
    reads = f"reads exactly {context_length} steps, and gives" if context_length else "gives"
    return (
        f"Trained on one data set with one split; nothing is known about others. It {reads} point forecasts without "
        "uncertainty."
    )


def settings_table(settings: Mapping[str, object]) -> str:
    """Two columns; what is `None` is left out."""
    rows = [(name, shown(value)) for name, value in settings.items() if value is not None]
    return tabulate(rows, ["setting", "value"], "github", disable_numparse=True) if rows else ""


def shown(value: object) -> str:
    """A setting for people."""
    value = getattr(value, "value", value)  # of an enum
    if isinstance(value, (list, tuple)):
        return "; ".join(plain(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else plain(value)


def history_note(
    columns: Sequence[str], context_length: int, timestamp_column: str | None, id_column: str | None
) -> str:
    """What the table holds that a snippet reads, as a comment."""
    if id_column:
        time = plain(timestamp_column or "time")
        return f"a table of {plain(id_column)}, {time} and values, of at least {context_length} steps"
    time = f"{plain(timestamp_column)}, " if timestamp_column else ""
    return f"a table of {time}{names(columns)}, of at least {context_length} rows"
