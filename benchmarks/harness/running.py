"""Running the cells: some at once, each once, through any interruption."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from timedistill_hf._utils.errors import Terminated
from timedistill_hf._utils.run_folder import RESULTS
from timedistill_hf.training.stages import WEIGHTS

from .cells import Cell, Places, TeacherCell
from .estimates import Estimator
from .journal import Journal, StepLock, code_commit
from .results import collect, remove_checkpoints


_POLL_SECONDS = 0.2
_LAST_LINES = 3
# large blocks stay with the process instead of going back to the system after every step, which costs page faults
_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "67108864",
}


def is_done(step: Cell | TeacherCell, places: Places) -> bool:
    """Whether nothing is left to do: a teacher has its weights, a cell its results."""
    if isinstance(step, TeacherCell):
        return (places.teacher(step) / WEIGHTS).is_file()
    return places.result(step).is_file()


@dataclass
class _Running:
    """A script at work."""

    step: Cell | TeacherCell
    process: subprocess.Popen
    lock: StepLock


class Runner:
    """One session of the harness.

    Args:
        cells: the matrix's cells in order of worth.
        lanes: scripts at once.
        threads: CPU threads of each.
        max_seconds: no step is started that is estimated to end later.
        say: gets a line for every step that begins, ends or fails.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        places: Places,
        estimator: Estimator,
        *,
        lanes: int = 1,
        threads: int = 1,
        max_seconds: float | None = None,
        say=print,
    ):
        self.cells = cells
        self.places = places
        self.estimator = estimator
        self.lanes = lanes
        self.threads = threads
        self.max_seconds = max_seconds
        self.say = say
        self.failed: dict[str, str] = {}
        self.too_long: list[str] = []
        self._running: list[_Running] = []
        self._elsewhere: set[str] = set()
        self._asked_to_stop = 0
        self._stopped_by = signal.SIGTERM
        self._told_to_stop = 0
        self._began = time.monotonic()

    def run(self, chosen: Sequence[Cell]) -> bool:
        """Run what of the chosen cells is not done; whether none failed.

        A step at work in another session is left to it, and waited for where nothing else can be done.

        Raises:
            Terminated: SIGTERM or Ctrl-C came; the scripts at work got SIGTERM and have ended.
        """
        pending = [cell for cell in chosen if not is_done(cell, self.places)]
        self._began = time.monotonic()
        with self._signals_caught():
            self._remove_signals()
            self._remove_checkpoints()
            while True:
                self._end_finished()
                if not self._asked_to_stop:
                    while len(self._running) < self.lanes and self._start_one(pending):
                        pass
                elif not self._running:
                    raise Terminated("the same command goes on from what was saved", self._stopped_by)
                else:
                    self._pass_on_stop()
                if not pending and not self._running:
                    return not self.failed
                time.sleep(_POLL_SECONDS)

    def _start_one(self, pending: list[Cell]) -> bool:
        """Start the first step that can be started now, and drop cells of which nothing can be any more."""
        for cell in list(pending):
            if is_done(cell, self.places):  # by another session
                pending.remove(cell)
                continue
            steps = [teacher for teacher in cell.teachers if not is_done(teacher, self.places)] or [cell]
            at_work = {running.step.key for running in self._running}
            for step in (step for step in steps if step.key not in at_work):
                if self._is_out(step, cell):
                    pending.remove(cell)
                    break
                if self._start(step):
                    if step is cell:
                        pending.remove(cell)
                    return True
        return False

    def _is_out(self, step: Cell | TeacherCell, cell: Cell) -> bool:
        if step.key in self.failed:
            self.failed[cell.key] = f"its teacher {step.name} failed"
            self.say(f"FAILED {cell.name}: {self.failed[cell.key]}")
            return True
        left = float("inf") if self.max_seconds is None else self.max_seconds - (time.monotonic() - self._began)
        if self.estimator.seconds(step) > left:
            self.too_long.append(cell.name)
            return True
        return False

    def _start(self, step: Cell | TeacherCell) -> bool:
        """Whether the step is at work now; not where another session has it."""
        lock = StepLock(self.places.lock(step))
        if not lock.acquire():
            if step.key not in self._elsewhere:
                self._elsewhere.add(step.key)
                self.say(f"{step.key} is at work in another session")
            return False
        if is_done(step, self.places):
            lock.release()
            return False
        if isinstance(step, Cell):
            self._remove_checkpoints()  # a teacher may have ended in no session while this one ran
        if isinstance(step, Cell) and (self.places.cell(step) / RESULTS).is_file():
            self._keep(step)  # it ended while no session was there
            lock.release()
            return False
        Journal(step, self.places).begin(code_commit(self.places.scripts))
        process = self._launch(step, lock)
        self._running.append(_Running(step, process, lock))
        expected = duration(self.estimator.seconds(step))
        self.say(f"{_clock()} {step.key}: begun as process {process.pid}, about {expected}")
        return True

    def _launch(self, step: Cell | TeacherCell, lock: StepLock) -> subprocess.Popen:
        command = [sys.executable, str(self.places.scripts / step.script), *step.arguments(self.places)]
        log = self.places.log(step)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(command)}\n")
            file.flush()
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | _MEMORY | {"OMP_NUM_THREADS": str(self.threads), "PYTHONUNBUFFERED": "1"},
                pass_fds=(lock.file,),
                start_new_session=True,  # Ctrl-C reaches the harness only, which passes it on as SIGTERM
            )

    def _end_finished(self) -> None:
        for running in [running for running in self._running if running.process.poll() is not None]:
            self._running.remove(running)
            step, code = running.step, running.process.returncode
            Journal(step, self.places).end()
            if isinstance(step, Cell) and code == 0:
                self._keep(step)
            elif isinstance(step, TeacherCell) and is_done(step, self.places):
                seconds = Journal(step, self.places).seconds()
                remove_checkpoints(self.places.teacher(step))
                self.estimator.measured(step, seconds)
                self.say(f"{_clock()} {step.key}: done in {duration(seconds)}")
            elif not self._asked_to_stop:
                self._report_failure(step, code)
            running.lock.release()

    def _keep(self, cell: Cell) -> None:
        seconds = collect(cell, self.places, self.threads)
        self.estimator.measured(cell, seconds)
        self.say(f"{_clock()} {cell.key}: done in {duration(seconds)}")
        self._remove_signals()

    def _report_failure(self, step: Cell | TeacherCell, code: int) -> None:
        log = self.places.log(step)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        self.failed[step.key] = f"exit code {code}, {log}"
        self.say("\n    ".join([f"FAILED {step.key}: {self.failed[step.key]}", *lines]))

    def _remove_signals(self) -> None:
        """Remove the stored signals that no cell of the matrix needs any more."""
        needed = {self.places.signal(cell) for cell in self.cells if not is_done(cell, self.places)}
        for folder in {self.places.signal(cell) for cell in self.cells} - needed:
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_checkpoints(self) -> None:
        """Those of finished teachers that trained on after their session was killed."""
        for teacher in {teacher.key: teacher for cell in self.cells for teacher in cell.teachers}.values():
            if is_done(teacher, self.places):
                remove_checkpoints(self.places.teacher(teacher))

    def _pass_on_stop(self) -> None:
        """SIGTERM to the scripts at work, which save and end; SIGKILL where it is asked for a second time."""
        if self._told_to_stop < self._asked_to_stop:
            number = signal.SIGTERM if self._told_to_stop == 0 else signal.SIGKILL
            self._told_to_stop = self._asked_to_stop
            self.say("stopping: the scripts at work save what they have; once more kills them")
            for running in self._running:
                running.process.send_signal(number)

    @contextmanager
    def _signals_caught(self) -> Iterator[None]:
        def ask(number: int, frame: FrameType | None) -> None:
            self._asked_to_stop += 1
            self._stopped_by = number

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def duration(seconds: float) -> str:
    """`45 s`, `12.5 min`, `3.1 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _clock() -> str:
    return time.strftime("%H:%M:%S")
