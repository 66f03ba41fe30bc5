"""What the students of a run hear of its teacher: with features or without, stored or live."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from .._utils.disk import check_writable
from .._utils.errors import InputError
from .._utils.readable import readable_bytes
from .._utils.run_folder import SIGNAL_FOLDER, STORED_FORECASTS
from ..data.windows import WindowDataset
from ..settings.run import DistillSettings
from ..signal_store.folder import free_bytes
from ..signal_store.layout import DTYPES, StoreLayout
from ..signal_store.store import StoredSignalDataset, find_store, planned_store, store_signal
from ..signal_store.table import TableTeacher
from ..student import TimeDistillConfig
from ..teachers.frozen import ForecastOnly, FrozenTeacher
from ..training.arguments import TimeDistillTrainingArguments
from .students import RunStudent


logger = logging.getLogger(__name__)

FORECASTS = "forecasts"


@dataclass(frozen=True)
class RunSignal:
    """The teacher's signal of a run of `distill.py`.

    Args:
        settings, args: what the script's flags hold.
        student: who is to hear it.
        folder: of the run.
    """

    settings: DistillSettings
    args: TimeDistillTrainingArguments
    student: RunStudent
    folder: Path

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.settings.signal_dtype]

    @property
    def directory(self) -> Path:
        return Path(self.settings.signal_dir) if self.settings.signal_dir else self.folder / SIGNAL_FOLDER

    @property
    def must_be_stored(self) -> bool:
        return self.settings.teacher_signal in ("stored", FORECASTS)

    def check_directory(self) -> None:
        """Raise an [`InputError`] where the folder that is to keep the signal cannot be written to."""
        if self.settings.signal_dir and self.settings.teacher_signal != "live":
            check_writable(self.directory, "--signal_dir")

    def drops_features(self, config: TimeDistillConfig) -> bool:
        """Whether students would hear the teacher's feature, were it not for `--teacher_signal forecasts`."""
        return self.settings.teacher_signal == FORECASTS and self.student.wants_feature(config)

    def of(self, teacher: FrozenTeacher, config: TimeDistillConfig) -> FrozenTeacher:
        """The teacher as the students listen to it."""
        is_heard_whole = self.student.wants_feature(config) and not self.drops_features(config)
        return teacher if isinstance(teacher, TableTeacher) or is_heard_whole else ForecastOnly(teacher)

    def may_be_stored(self, teacher: FrozenTeacher, windows: WindowDataset) -> bool:
        """Whether the signal is to be stored: asked for, and there already or within the limit and the disk's room.

        Raises:
            InputError: it must be stored, and does not fit.
        """
        refusal = self.refusal(teacher, windows)
        if refusal is None:
            return self.settings.teacher_signal != "live"
        if self.must_be_stored:
            raise InputError(refusal)
        logger.warning("%s. The teacher runs in every step instead, which teaches the same", refusal)
        return False

    def refusal(self, teacher: FrozenTeacher, windows: WindowDataset) -> str | None:
        """Why the signal cannot be stored, and what would help; `None` where it can, or is not to be."""
        if self.settings.teacher_signal == "live" or isinstance(teacher, TableTeacher):
            return None
        if find_store(teacher, windows, self.directory, dtype=self.dtype) is not None:
            return None
        store = planned_store(teacher, windows, self.directory, self.dtype)
        layout, limit, free = store.layout, self.settings.signal_limit_gb * 1e9, free_bytes(self.directory)
        if layout.num_bytes <= limit and store.bytes_to_write() <= free:
            return None
        smaller = [f"{flags} ({readable_bytes(size)})" for flags, size in _smaller(layout) if size <= min(limit, free)]
        fitting = f"{'; '.join(smaller)} would fit; or " if smaller else ""
        return (
            f"the teacher's signal takes {readable_bytes(layout.num_bytes)} as {layout.dtype}, --signal_limit_gb "
            f"allows {readable_bytes(limit)}, and the disk of {str(self.directory)!r} has "
            f"{readable_bytes(free)} free: {fitting}raise the limit, name another --signal_dir, or pass "
            "--teacher_signal live"
        )

    def store(self, teacher: FrozenTeacher, windows: WindowDataset, batch_size: int) -> StoredSignalDataset:
        """The windows with their signal, filled as far as that is still to be done."""
        return store_signal(teacher, windows, self.directory, dtype=self.dtype, batch_size=batch_size)

    def described(self, teacher: FrozenTeacher, config: TimeDistillConfig, is_stored: bool) -> str:
        """For results: `"live"`, `"stored"`, or `"stored forecasts"` where students wanted features and heard none."""
        if not is_stored:
            return "live"
        is_table = isinstance(teacher, TableTeacher)
        lacks = self.drops_features(config) or (is_table and self.student.wants_feature(config))
        return STORED_FORECASTS if lacks else "stored"


def _smaller(layout: StoreLayout) -> list[tuple[str, int]]:
    """Flags that make a store of less, and its bytes."""
    has_feature, is_wide = "feature" in layout.shapes, layout.dtype == "float32"
    half, forecasts = "--signal_dtype float16", f"--teacher_signal {FORECASTS}, without the features"
    found = []
    if is_wide:
        found.append((half, layout.bytes_of(*layout.shapes, dtype="float16")))
    if has_feature:
        found.append((forecasts, layout.bytes_of("prediction_outputs")))
    if has_feature and is_wide:
        found.append((f"{half} {forecasts}", layout.bytes_of("prediction_outputs", dtype="float16")))
    return found
