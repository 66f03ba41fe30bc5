"""Steps in units of time that people read."""

_UNITS = (("days", 86400, 86400), ("hours", 60, 3600), ("minutes", 1, 60))  # name, from so many seconds, one has


def time_unit(freq: str | None) -> tuple[str, float]:
    """The unit of an axis of time and how much of it a step is: `("hours", 0.25)` for `"15min"`.

    Args:
        freq: pandas alias; without one, or where steps differ in length (months), the unit is `"steps"`.
    """
    if freq is None:
        return "steps", 1.0
    import pandas as pd

    gaps = pd.date_range("2021-01-01", periods=14, freq=freq).diff()[1:]
    if gaps.nunique() != 1:
        return "steps", 1.0
    seconds = gaps[0].total_seconds()
    return next(((name, seconds / length) for name, least, length in _UNITS if seconds >= least), ("seconds", seconds))
