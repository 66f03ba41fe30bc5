"""The series and windows that [`DataSettings`] describe."""

from ..settings.run import DataSettings
from .processor import TimeDistillProcessor
from .sources import load_series
from .splits import parse_split
from .windows import ForecastData, make_windows


def load_data(
    settings: DataSettings,
    *,
    source: object = None,
    context_length: int | None = None,
    prediction_length: int | None = None,
    processor: TimeDistillProcessor | None = None,
) -> ForecastData:
    """The prepared windows; a saved model's lengths and processor take the place of the settings'.

    Args:
        source: a table, or what else [`load_series`] takes, in the place of `settings.dataset`.

    Raises:
        InputError: the data cannot be read, or are too short for the lengths.
    """
    split = parse_split(settings.split) if settings.split is not None else None
    series = load_series(
        settings.dataset if source is None else source,
        data_dir=settings.data_dir,
        timestamp_column=settings.timestamp_column,
        id_column=settings.id_column,
        target_columns=settings.target_columns,
        season=settings.season,
        missing_value=settings.missing_value,
        time_zone=settings.time_zone,
        freq=settings.freq,
        hub_config=settings.hub_config,
        dataset_revision=settings.dataset_revision,
        duplicates=settings.duplicates,
        **settings.number_signs(),
    )
    return make_windows(
        series,
        context_length or settings.context_length,
        prediction_length or settings.prediction_length,
        split,
        processor,
    )
