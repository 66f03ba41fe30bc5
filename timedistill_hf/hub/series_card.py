"""The card of a data set of series: what its metadata say to `datasets`, and what it says to people."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from huggingface_hub import DatasetCard, DatasetCardData
from tabulate import tabulate


if TYPE_CHECKING:
    import datasets

    from ..data.series import Series
    from ..data.splits import Split

SPLIT = "train"
_SECTION = "<!-- series {} -->\n{}\n<!-- end of series {} -->"
_ANY_SECTION = re.compile(r"<!-- series (\S+) -->\n.*?\n<!-- end of series \1 -->", re.DOTALL)
_LICENSE = re.compile(r"^\| licence +\| (\S+) +\|", re.MULTILINE)


@dataclass(frozen=True)
class HostedSeries:
    """One configuration.

    Args:
        num_rows: of the table; of a long one, steps times ids or fewer.
        series: what [`load_series`] makes of it.
        split: the steps for training, validation and test.
        is_split_given: whether that is the user's or the benchmark's, and not what the package does by default.
    """

    config_name: str
    license: str
    description: str
    num_rows: int
    series: "Series"
    split: "Split"
    is_split_given: bool

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """First step and last + 1 of training, validation and test."""
        return [self.split.train, self.split.validation, self.split.test]


def with_series(
    card: DatasetCard | None, repo_id: str, hosted: HostedSeries, info: "datasets.DatasetInfo"
) -> DatasetCard:
    """The card with one more configuration, or with that configuration anew; all else in it stays."""
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs

    config = hosted.config_name
    if card is None:
        card = _new_card(repo_id)
    data_files = [{"split": SPLIT, "path": f"{config}/{SPLIT}-*"}]
    MetadataConfigs({config: {"data_files": data_files}}).to_dataset_card_data(card.data)
    DatasetInfosDict({config: info}).to_dataset_card_data(card.data)
    section = _SECTION.format(config, _describe(repo_id, hosted), config)
    text = card.text
    before = next((found[0] for found in _ANY_SECTION.finditer(text) if found[1] == config), None)
    text = text.replace(before, section) if before else f"{text.rstrip()}\n\n{section}\n"
    card.data.license = _licenses(card, text)
    card.text = text
    return card


def _licenses(card: DatasetCard, text: str) -> str | list[str]:
    """Those of all configurations; where some were not written by this package, also what the card says."""
    sections = {found[1]: found[0] for found in _ANY_SECTION.finditer(text)}
    said = [found[1] for section in sections.values() if (found := _LICENSE.search(section))]
    declared = {entry["config_name"] for entry in card.data.get("configs") or []}
    if declared - set(sections):
        before = card.data.license or []
        said += [before] if isinstance(before, str) else before
    licenses = sorted(set(said))
    return licenses[0] if len(licenses) == 1 else licenses


def _new_card(repo_id: str) -> DatasetCard:
    data = DatasetCardData(task_categories=["time-series-forecasting"], tags=["time-series", "timeseries"])
    title = repo_id.split("/")[-1]
    text = (
        f"# {title}\n\nTime series for forecasting. Each data set is one configuration; all its rows are in the split "
        f"`{SPLIT}`, in order of time and\nnever shuffled, because a forecaster's windows are cut from them. Which of "
        "them are for training, validation and test is\nsaid below."
    )
    return DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n")


def _describe(repo_id: str, hosted: HostedSeries) -> str:
    series, config = hosted.series, hosted.config_name
    steps = ", ".join(f"{start:,} to {end:,}" for start, end in hosted.ranges)
    counts = ",".join(str(end - start) for start, end in hosted.ranges)
    form = "wide: one column a channel"
    if series.id_column is not None:
        form = f"long: ids in `{series.id_column}`, values in {_names(series.target_columns)}"
    rows = [
        ["rows", f"{hosted.num_rows:,}"],
        ["time steps", f"{series.num_rows:,}"],
        ["channels", f"{series.num_channels:,}: {_names(series.columns)}"],
        ["time", _time(series)],
        ["season", f"{series.season} steps" if series.season > 1 else "none known"],
        ["missing values", f"{series.values.isnan().double().mean().item():.2%}"],
        ["form", form],
        [
            "training, validation, test",
            f"steps {steps}, the last not included{'' if hosted.is_split_given else ' (70 / 10 / 20 %)'}",
        ],
        ["licence", hosted.license],
        ["fingerprint", f"`{series.fingerprint()}`"],
    ]
    options = f', id_column="{series.id_column}"' if series.id_column else ""
    flags = f" --id_column {series.id_column}" if series.id_column else ""
    python = (
        "from datasets import load_dataset\nfrom timedistill_hf import load_series\n\n"
        f'table = load_dataset("{repo_id}", "{config}", split="{SPLIT}")\n'
        f'series = load_series("{repo_id}", hub_config="{config}"{options})'
    )
    command = f"timedistill distill --dataset {repo_id} --hub_config {config} --split {counts}{flags}"
    parts = [
        f"## {config}",
        series.note and f"Note: {series.note}.",
        hosted.description,
        tabulate(rows, ["", config], "github", disable_numparse=True),
        f"```python\n{python}\n```",
        f"```bash\n{command}\n```",
    ]
    return "\n\n".join(filter(None, parts))


def _names(columns: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{name}`".replace("|", "\\|") for name in columns[:12])
    return shown + (", ..." if len(columns) > 12 else "")


def _time(series: "Series") -> str:
    if series.timestamps is None:
        return "no time column; rows are equal steps"
    every = f", every `{series.freq}`" if series.freq else ", on no regular grid"
    first, last = (str(series.timestamps[end].astype("datetime64[s]")).replace("T", " ") for end in (0, -1))
    return f"column `{series.timestamp_column}`, {first} to {last}{every}"
