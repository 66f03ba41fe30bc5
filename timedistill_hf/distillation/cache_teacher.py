"""A teacher's signal stored ahead: a run with the same settings then finds it, and runs no teacher."""

import time
from collections.abc import Mapping

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from .._utils.errors import InputError
from .._utils.readable import readable_seconds
from ..data import load_data
from ..settings.run import DistillSettings
from ..signal_store.filling import processes
from ..signal_store.store import estimate_store, find_store, planned_store
from ..signal_store.table import is_table
from ..teachers import FAMILIES
from .settings import RunSettings
from .signal import FORECASTS, RunSignal
from .students import RunStudent
from .teachers import RunTeachers


def cache_teacher(given: Mapping, *, forecasts_only: bool = False, estimate: bool = False) -> str:
    """Fill the store that [`distill`] with these settings looks for, as far as that is still to be done.

    Whether features are stored follows from the settings: they are where the students learn from them. All processes
    must call this.

    Args:
        given: settings by name, as [`distill`] takes them, `dataset`, `teacher` and `signal_dir` among them;
            `output_dir` is not used.
        forecasts_only: leave the features out, for a run with `teacher_signal="forecasts"`.
        estimate: run the teacher on one batch and write nothing.

    Returns:
        What was stored, or is to be, in one line or two.

    Raises:
        InputError: there is nothing to store, data and teachers do not fit, or the store does not fit the limit or the
            disk.
    """
    asked = RunSettings.of(given)
    _check(asked.run)
    wanted = FORECASTS if forecasts_only or asked.run.teacher_signal == FORECASTS else "stored"
    settings = RunSettings.of({**given, "teacher_signal": wanted})
    teachers, args = RunTeachers(settings, {}), settings.args
    RunSignal(settings, False).check_directory()
    data = load_data(settings.data)
    students = RunStudent(settings)
    signal = RunSignal(settings, students.wants_feature(students.config(data)))
    teacher = teachers.mix(data, teachers.train(data, teachers.load(data))).to(args.device)
    teacher = signal.of(teacher)
    windows = data.for_teacher(teacher.num_time_features).train
    if estimate:
        found = estimate_store(teacher, windows, signal.directory, dtype=signal.dtype, batch_size=args.eval_batch_size)
        refusal = signal.refusal(teacher, windows)
        return f"Estimate: {found}; nothing was written" + (f"\nIt would be refused: {refusal}" if refusal else "")
    (known,) = broadcast_object_list([find_store(teacher, windows, signal.directory, dtype=signal.dtype)])
    if known is not None:
        return f"{known.summary}: there already\n{_how_to_use(settings.run)}"
    signal.may_be_stored(teacher, windows)
    missing = len(planned_store(teacher, windows, signal.directory, signal.dtype).missing_windows())
    start = time.perf_counter()
    stored = signal.store(teacher, data, args.eval_batch_size)
    seconds = time.perf_counter() - start
    rest = "" if missing == len(stored) else f" for the {missing:,} missing ones"
    return (
        f"{stored.summary}: {readable_seconds(seconds)}{rest}, {missing / seconds:,.0f} windows per second, "
        f"{processes(PartialState().num_processes)}\n{_how_to_use(settings.run)}"
    )


def _check(run: DistillSettings) -> None:
    """Raise where there is nothing to be stored, or nowhere."""
    if run.signal_dir is None:
        raise InputError("`signal_dir` is missing: name the folder that is to keep the stored signal")
    if run.teacher_signal == "live":
        raise InputError("`teacher_signal=live`: a live teacher's signal is not stored; leave that out")
    for name in run.teacher:
        if name in FAMILIES:
            raise InputError(f"teacher={name} is a family: train one first (train_teacher), then name its folder")
        if is_table(name):
            raise InputError(f"teacher={name}: a table of forecasts is stored already, distill takes it as it is")


def _how_to_use(run: DistillSettings) -> str:
    """The settings with which a run finds it, beside those of data, teachers and students."""
    how = f"`signal_dir={run.signal_dir}`"
    if run.signal_dtype != "float32":
        how += f" `signal_dtype={run.signal_dtype}`"
    if run.teacher_signal == FORECASTS:
        how += f" `teacher_signal={FORECASTS}`"
    return f"distill with the same data, teacher and recipe finds it: {how}"
