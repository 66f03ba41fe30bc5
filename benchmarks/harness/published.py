"""Published figures: test MSE on standardised values, averaged over four horizons, look-back 720, all test windows.

Sources: TimeDistill's are those of its paper (Ni et al., KDD 2026, arXiv 2502.15016), with its best teacher. The
others are the lowest that the project's survey found for any model that is tested without dropping the last batch,
named with each; Traffic's is from logs. TimeDistill's MSE on ETTh1 is not among the figures that the survey has.
"""

from dataclasses import dataclass


HORIZONS = (96, 192, 336, 720)
CONTEXT_LENGTH = 720


@dataclass(frozen=True)
class Published:
    """Figures for one data set.

    Args:
        timedistill: of TimeDistill with its best teacher; `None` where not known.
        best: the lowest of any model.
        model: which model that is.
    """

    timedistill: float | None
    best: float
    model: str


PUBLISHED = {
    "etth1": Published(None, 0.397, "TimeBase"),
    "etth2": Published(0.345, 0.331, "CMoS"),
    "ettm1": Published(0.348, 0.338, "DUET"),
    "ettm2": Published(0.250, 0.247, "TimeBridge"),
    "weather": Published(0.221, 0.218, "DUET"),
    "electricity": Published(0.157, 0.150, "TimeBridge"),
    "traffic": Published(0.387, 0.345, "TimeBridge, logs"),
    "solar": Published(0.184, 0.181, "TimeBridge"),
}
