"""The public long-horizon benchmarks: where each lies, how it is split, what its season is."""

from dataclasses import dataclass

from .splits import STANDARD_RATIOS, SplitSpec


HUB_DATASET = "thuml/Time-Series-Library"


@dataclass(frozen=True)
class Benchmark:
    """One data set of the usual suite.

    Args:
        name: as `load_series` takes it.
        hub_config: its configuration in the Hub data set `thuml/Time-Series-Library`, where it is named after the
            published file; `name` is tried too. `None` where it is not there.
        split: the rows or ratios everyone uses.
        season: steps of the season that the seasonal naive forecast repeats.
        freq: pandas frequency, where the file has no timestamps to read it from.
        note: printed wherever its figures are.
    """

    name: str
    hub_config: str | None
    split: SplitSpec
    season: int
    freq: str
    note: str = ""


_ETT_HOURLY = SplitSpec(rows=(8640, 2880, 2880))
_ETT_MINUTE = SplitSpec(rows=(34560, 11520, 11520))
_SUBSET = "a part of the benchmark's channels: not comparable with published figures"

BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("etth1", "ETTh1", _ETT_HOURLY, 24, "h"),
        Benchmark("etth2", "ETTh2", _ETT_HOURLY, 24, "h"),
        Benchmark("ettm1", "ETTm1", _ETT_MINUTE, 96, "15min"),
        Benchmark("ettm2", "ETTm2", _ETT_MINUTE, 96, "15min"),
        Benchmark("weather", "weather", STANDARD_RATIOS, 144, "10min"),
        Benchmark("electricity", "electricity", STANDARD_RATIOS, 24, "h"),
        Benchmark("traffic", "traffic", STANDARD_RATIOS, 24, "h"),
        Benchmark("solar", "solar_AL", STANDARD_RATIOS, 144, "10min"),
        Benchmark("exchange_rate", "exchange_rate", STANDARD_RATIOS, 1, "D"),
        Benchmark("national_illness", "national_illness", STANDARD_RATIOS, 52, "W"),
        Benchmark("electricity_sub6", None, STANDARD_RATIOS, 24, "h", _SUBSET),
        Benchmark("traffic_sub6", None, STANDARD_RATIOS, 24, "h", _SUBSET),
        Benchmark("solar_sub12", None, STANDARD_RATIOS, 144, "10min", _SUBSET),
    )
}
