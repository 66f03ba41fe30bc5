"""A teacher's signal stored ahead: a run of `distill.py` with the same flags then finds it, and runs no teacher."""

import time
from dataclasses import replace
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from .._utils.errors import InputError
from .._utils.readable import readable_seconds
from ..data import load_data
from ..settings.run import DataSettings, DistillSettings, StudentSettings
from ..signal_store.filling import processes
from ..signal_store.store import estimate_store, find_store, planned_store
from ..signal_store.table import is_table
from ..teachers import FAMILIES
from ..training.arguments import TimeDistillTrainingArguments
from .signal import FORECASTS, RunSignal
from .students import RunStudent
from .teachers import RunTeachers


def cache_teacher(
    data_settings: DataSettings,
    student_settings: StudentSettings,
    settings: DistillSettings,
    args: TimeDistillTrainingArguments,
    *,
    forecasts_only: bool = False,
    estimate: bool = False,
) -> str:
    """Fill the store that the run of `distill.py` with these settings looks for, as far as that is still to be done.

    Whether features are stored follows from the settings: they are where the students learn from them. All processes
    must call this.

    Args:
        data_settings, student_settings, settings, args: what `distill.py` is to be given; `output_dir` is not used.
        forecasts_only: leave the features out, for a run with `--teacher_signal forecasts`.
        estimate: run the teacher on one batch and write nothing.

    Returns:
        What was stored, or is to be, in one line or two.

    Raises:
        InputError: there is nothing to store, data and teachers do not fit, or the store does not fit the limit or the
            disk.
    """
    _check(settings)
    settings = replace(settings, teacher_signal=FORECASTS if forecasts_only else _kind(settings))
    folder = Path(args.output_dir)
    student = RunStudent(student_settings, settings, args, folder)
    run = RunSignal(settings, args, student, folder)
    run.check_directory()
    teachers = RunTeachers(settings, args, folder)
    data = load_data(data_settings)
    config = student.config(data)
    teacher = teachers.mix(data, teachers.train(data, teachers.load(data))).to(args.device)
    teacher = run.of(teacher, config)
    windows = data.for_teacher(teacher.num_time_features).train
    if estimate:
        found = estimate_store(teacher, windows, run.directory, dtype=run.dtype, batch_size=args.eval_batch_size)
        refusal = run.refusal(teacher, windows)
        return f"Estimate: {found}; nothing was written" + (f"\nIt would be refused: {refusal}" if refusal else "")
    (known,) = broadcast_object_list([find_store(teacher, windows, run.directory, dtype=run.dtype)])
    if known is not None:
        return f"{known.summary}: there already\n{_how_to_use(settings)}"
    run.may_be_stored(teacher, windows)
    missing = len(planned_store(teacher, windows, run.directory, run.dtype).missing_windows())
    start = time.perf_counter()
    stored = run.store(teacher, windows, args.eval_batch_size)
    seconds = time.perf_counter() - start
    rest = "" if missing == len(stored) else f" for the {missing:,} that lacked"
    return (
        f"{stored.summary}: {readable_seconds(seconds)}{rest}, {missing / seconds:,.0f} windows per second, "
        f"{processes(PartialState().num_processes)}\n{_how_to_use(settings)}"
    )


def _kind(settings: DistillSettings) -> str:
    return FORECASTS if settings.teacher_signal == FORECASTS else "stored"


def _check(settings: DistillSettings) -> None:
    """Raise where there is nothing to be stored, or nowhere."""
    if settings.signal_dir is None:
        raise InputError("--signal_dir is missing: name the folder that is to keep the stored signal")
    if settings.teacher_signal == "live":
        raise InputError("--teacher_signal live: a live teacher's signal is not stored; leave that flag out")
    for name in settings.teacher:
        if name in FAMILIES:
            raise InputError(
                f"--teacher {name} is a family: train one (train_teacher.py --teacher {name}), then name its folder"
            )
        if is_table(name):
            raise InputError(f"--teacher {name}: a table of forecasts is stored already, distill.py takes it as it is")


def _how_to_use(settings: DistillSettings) -> str:
    """The flags with which `distill.py` finds it, beside those of data, teachers and students."""
    flags = f"--signal_dir {settings.signal_dir}"
    if settings.signal_dtype != "float32":
        flags += f" --signal_dtype {settings.signal_dtype}"
    if settings.teacher_signal == FORECASTS:
        flags += f" --teacher_signal {FORECASTS}"
    return f"distill.py with the same data, teacher and recipe finds it: {flags}"
