"""What the students of a run learn from its teacher: with features or without, stored or live."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import Dataset

from .._utils.errors import InputError
from .._utils.files import check_writable
from .._utils.readable import readable_bytes
from .._utils.run_folder import SIGNAL_FOLDER, STORED_FORECASTS
from ..data.windows import ForecastData, WindowDataset
from ..signal_store.folder import DTYPES, StoreLayout, free_bytes
from ..signal_store.store import find_store, planned_store, store_signal
from ..teachers import FrozenTeacher
from .settings import RunSettings


logger = logging.getLogger(__name__)

FORECASTS = "forecasts"


@dataclass(frozen=True)
class RunSignal:
    """The teacher's signal in a run.

    Args:
        settings: of the run.
        wants_feature: whether any student is to be trained on the teacher's feature.
    """

    settings: RunSettings
    wants_feature: bool

    @property
    def kind(self) -> str:
        return self.settings.run.teacher_signal

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.settings.run.signal_dtype]

    @property
    def directory(self) -> Path:
        named = self.settings.run.signal_dir
        return Path(named) if named else self.settings.folder / SIGNAL_FOLDER

    @property
    def must_be_stored(self) -> bool:
        return self.kind in ("stored", FORECASTS)

    @property
    def drops_features(self) -> bool:
        """Whether students would learn from the feature, were it not for `teacher_signal="forecasts"`."""
        return self.kind == FORECASTS and self.wants_feature

    def check_directory(self) -> None:
        """Raise an [`InputError`] where the folder that is to keep the signal cannot be written to."""
        if self.settings.run.signal_dir and self.kind != "live":
            check_writable(self.directory, "`signal_dir`")

    def of(self, teacher: FrozenTeacher) -> FrozenTeacher:
        """The teacher as the students learn from it."""
        uses_feature = self.wants_feature and not self.drops_features
        return teacher if uses_feature else teacher.forecast_only()

    def may_be_stored(self, teacher: FrozenTeacher, windows: WindowDataset) -> bool:
        """Whether the signal is to be stored: asked for, and there already or within the limit and the disk's room.

        Raises:
            InputError: it must be stored, and does not fit.
        """
        refusal = self.refusal(teacher, windows)
        if refusal is None:
            return self.kind != "live"
        if self.must_be_stored:
            raise InputError(refusal)
        logger.warning("%s. The teacher runs in every step instead, which teaches the same", refusal)
        return False

    def refusal(self, teacher: FrozenTeacher, windows: WindowDataset) -> str | None:
        """Why the signal cannot be stored, and what would help; `None` where it can, or is not to be."""
        if self.kind == "live" or teacher.has_stored_signal:
            return None
        if find_store(teacher, windows, self.directory, dtype=self.dtype) is not None:
            return None
        store = planned_store(teacher, windows, self.directory, self.dtype)
        layout, limit, free = store.layout, self.settings.run.signal_limit_gb * 1e9, free_bytes(self.directory)
        if layout.num_bytes <= limit and store.bytes_to_write() <= free:
            return None
        smaller = [f"{how} ({readable_bytes(size)})" for how, size in _smaller(layout) if size <= min(limit, free)]
        fitting = f"{'; '.join(smaller)} would fit; or " if smaller else ""
        return (
            f"the teacher's signal takes {readable_bytes(layout.num_bytes)} as {layout.dtype}, `signal_limit_gb` "
            f"allows {readable_bytes(limit)}, and the disk of {str(self.directory)!r} has "
            f"{readable_bytes(free)} free: {fitting}raise the limit, name another `signal_dir`, or pass "
            "`teacher_signal=live`"
        )

    def store(self, teacher: FrozenTeacher, data: ForecastData, batch_size: int) -> Dataset:
        """The train windows with their signal, filled as far as that is still to be done."""
        windows = teacher.windows(data)
        if teacher.has_stored_signal:
            return windows
        return store_signal(teacher, windows, self.directory, dtype=self.dtype, batch_size=batch_size)

    def described(self, teacher: FrozenTeacher, is_stored: bool) -> str:
        """For results: `"live"`, `"stored"`, or `"stored forecasts"` where students wanted features and had none."""
        if not is_stored:
            return "live"
        lacks = self.drops_features or (teacher.has_stored_signal and self.wants_feature)
        return STORED_FORECASTS if lacks else "stored"


def _smaller(layout: StoreLayout) -> list[tuple[str, int]]:
    """Settings that make a store of less, and its bytes."""
    has_feature, is_wide = "feature" in layout.shapes, layout.dtype == "float32"
    half, forecasts = "`signal_dtype=float16`", f"`teacher_signal={FORECASTS}`, without the features"
    found = []
    if is_wide:
        found.append((half, layout.bytes_of(*layout.shapes, dtype="float16")))
    if has_feature:
        found.append((forecasts, layout.bytes_of("prediction_outputs")))
    if has_feature and is_wide:
        found.append((f"{half} {forecasts}", layout.bytes_of("prediction_outputs", dtype="float16")))
    return found
