"""The harness with scripts that only pretend to train, which makes every interruption quick."""

import json
import multiprocessing
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from benchmarks.harness.estimates import Estimator
from benchmarks.harness.journal import Journal, StepLock, code_commit
from benchmarks.harness.plan import choose, make_plan
from benchmarks.harness.running import Runner, duration, is_done
from tests.harness.helper import begun, calls, matrix_of, pretending
from timedistill_hf._utils.errors import InputError, Terminated


BLOCK = """
    prediction_length: [8]
    seed: [1, 2]
    teachers: [[patchtst]]
    flags: {recipe: best, context_length: 16}
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("benchmarks.harness.running._POLL_SECONDS", 0.02)


class Session:
    """A runner of that matrix and what it says."""

    def __init__(self, folder: Path, text: str, **settings):
        self.places = pretending(folder)
        self.cells = matrix_of(folder, text).cells
        self.lines: list[str] = []
        estimator = settings.pop("estimator", Estimator({}))
        self.runner = Runner(self.cells, self.places, estimator, say=self.lines.append, **settings)

    def run(self) -> bool:
        return self.runner.run(self.cells)

    def results(self) -> dict[str, dict]:
        return {path.stem: json.loads(path.read_text()) for path in self.places.results.glob("*.json")}


def blocks(*datasets: str) -> str:
    return "blocks:\n" + "".join(f"  {name}:\n    dataset: [{name}]{BLOCK}" for name in datasets)


def test_every_cell_once_its_teacher_just_before(tmp_path):
    session = Session(tmp_path, blocks("a", "b"), threads=3)
    assert session.run()
    assert calls(session.places) == [
        "teachers/a-8-patchtst-seed1", "cells/a-8-best-patchtst-seed1",
        "teachers/a-8-patchtst-seed2", "cells/a-8-best-patchtst-seed2",
        "teachers/b-8-patchtst-seed1", "cells/b-8-best-patchtst-seed1",
        "teachers/b-8-patchtst-seed2", "cells/b-8-best-patchtst-seed2",
    ]  # fmt: skip
    results = session.results()
    assert sorted(results) == sorted(cell.name for cell in session.cells)
    result = results["a-8-best-patchtst-seed2"]
    assert result["models"]["student"]["mse"] == 0.5
    assert result["environment"] == {"OMP_NUM_THREADS": "3", "MALLOC_TOP_PAD_": "67108864"}
    assert result["command"][:2] == ["python", "scripts/distill.py"]
    assert result["command"][2:] == session.cells[1].arguments(session.places)
    assert list(result["teacher_commands"]) == ["a-8-patchtst-seed2"]
    assert (result["threads"], result["cell"]["seed"], result["cell"]["base"]) == (3, 2, None)
    assert 0 < result["seconds"] < 60
    assert list(session.places.runs.rglob("checkpoint-*")) == []
    again = Session(tmp_path, blocks("a", "b"))
    assert again.run()
    assert len(calls(session.places)) == 8
    assert again.lines == []


def test_a_signal_stays_for_the_cells_that_share_it_and_no_longer(tmp_path):
    text = blocks("a") + "    variants: {x: {alpha: 0}, y: {alpha: 2}}\n"
    session = Session(tmp_path, text)
    assert session.run()
    shared = {name: result["data"]["signals"] for name, result in session.results().items()}
    assert [shared[cell.name] for cell in session.cells] == [1, 2, 3, 1, 2, 3]
    assert [path for path in (session.places.runs / "signal").rglob("*") if path.is_file()] == []


def test_a_signal_is_kept_for_a_cell_that_failed(tmp_path):
    session = Session(tmp_path, blocks("bad", "a"))
    kept = session.places.signal(session.cells[0])
    kept.mkdir(parents=True)
    assert not session.run()
    assert kept.is_dir()
    assert not session.places.signal(session.cells[-1]).exists()


def test_a_failing_cell_is_reported_and_the_others_go_on(tmp_path):
    session = Session(tmp_path, blocks("bad", "bad_teacher", "a"))
    assert not session.run()
    assert sorted(session.results()) == ["a-8-best-patchtst-seed1", "a-8-best-patchtst-seed2"]
    said = "\n".join(session.lines)
    log = session.places.runs / "logs/bad-8-best-patchtst-seed1.log"
    assert f"FAILED bad-8-best-patchtst-seed1: exit code 3, {log}\n    one\n    two\n    the reason" in said
    assert log.read_text().splitlines()[0].startswith("$ ")
    assert "FAILED bad_teacher-8-best-patchtst-seed2: its teacher bad_teacher-8-patchtst-seed2 failed" in said
    assert len(session.runner.failed) == 2 + 2 * 2
    assert calls(session.places).count("teachers/bad_teacher-8-patchtst-seed1") == 1
    assert "cells/bad_teacher-8-best-patchtst-seed1" not in calls(session.places)
    assert not Session(tmp_path, blocks("bad", "bad_teacher", "a")).run()
    assert calls(session.places).count("cells/bad-8-best-patchtst-seed1") == 2
    assert calls(session.places).count("cells/a-8-best-patchtst-seed1") == 1


def test_checkpoints_of_a_teacher_that_trained_on_when_its_session_was_killed_are_removed(tmp_path):
    """Whether its cells are still to be run, or done."""
    session = Session(tmp_path, blocks("a", "b"))
    places = session.places
    done, todo = session.cells[0], session.cells[-1]
    for cell in (done, todo):
        (places.teacher(cell.teachers[0]) / "checkpoint-7").mkdir(parents=True)
        (places.teacher(cell.teachers[0]) / "model.safetensors").touch()
    assert session.run()
    assert list(places.runs.rglob("checkpoint-*")) == []
    (places.teacher(done.teachers[0]) / "checkpoint-7").mkdir()
    assert Session(tmp_path, blocks("a", "b")).run()
    assert list(places.runs.rglob("checkpoint-*")) == []


def announce(places) -> Path:
    """A pipe through which slow scripts say that they wait for SIGTERM."""
    places.runs.mkdir()
    os.mkfifo(places.runs / "ready")
    return places.runs / "ready"


def test_a_script_that_outlives_the_harness_is_waited_for_and_collected(tmp_path):
    lost, session = Session(tmp_path, blocks("slow")), Session(tmp_path, blocks("slow"))
    places = session.places
    ready = announce(places)
    first, second = session.cells
    context = multiprocessing.get_context("fork")
    receiver, lost.runner.say = context.Pipe(duplex=False)
    lost.runner.say = lost.runner.say.send
    process = context.Process(target=lost.run)
    process.start()
    lost.runner.say.__self__.close()  # so that a child that dies is the end of its messages
    script = begun(iter(receiver.recv, None), first.name)
    process.kill()
    process.join()
    places.cell(second).mkdir(parents=True)
    (places.cell(second) / "saved").touch()
    say = session.lines.append

    def end_the_other(line):
        say(line)
        if "another session" in line:
            ready.read_text()
            content = {"models": {"student": {"mse": 0.25, "mae": 1.0}}, "data": {}}
            (places.cell(first) / "results.json").write_text(json.dumps(content))
            os.kill(script, signal.SIGTERM)

    session.runner.say = end_the_other
    assert session.run()
    assert session.results()[first.name]["models"]["student"]["mse"] == 0.25
    assert calls(places).count(f"cells/{first.name}") == 1
    assert f"{first.name} is at work in another session" in session.lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_scripts_and_the_same_command_goes_on(tmp_path, number):
    session = Session(tmp_path, blocks("slow"), lanes=2)
    ready = announce(session.places)
    say = session.lines.append

    def stop_when_ready():
        with ready.open() as pipe:
            assert pipe.readline()
        os.kill(os.getpid(), number)

    def watch(line):
        say(line)
        if f"{session.cells[0].name}: begun" in line:
            threading.Thread(target=stop_when_ready).start()

    session.runner.say = watch
    before = signal.getsignal(number)
    with pytest.raises(Terminated, match="the same command goes on"):
        session.run()
    assert signal.getsignal(number) is before
    assert (session.places.cell(session.cells[0]) / "saved").exists()
    assert session.runner.failed == {}
    assert session.results() == {}
    ready.unlink()
    (session.places.cell(session.cells[1])).mkdir(parents=True, exist_ok=True)
    (session.places.cell(session.cells[1]) / "saved").touch()
    assert Session(tmp_path, blocks("slow")).run()
    assert len(session.results()) == 2
    assert calls(session.places).count("teachers/slow-8-patchtst-seed1") == 1


def test_a_killed_script_is_a_failure(tmp_path):
    session = Session(tmp_path, blocks("slow", "a"))
    say = session.lines.append

    def kill(line):
        say(line)
        if ": begun" in line and "slow-8-best" in line:
            os.kill(int(line.split("process ")[1].split(",")[0]), signal.SIGKILL)

    session.runner.say = kill
    assert not session.run()
    assert len(session.results()) == 2
    assert session.runner.failed["slow-8-best-patchtst-seed1"].startswith("exit code -9")


def test_lanes_train_a_teacher_once_and_two_of_a_set_at_once(tmp_path):
    text = """
blocks:
  a:
    dataset: [a]
    prediction_length: [8]
    seed: [1, 2]
    teachers: [[patchtst, itransformer]]
    teacher_seed: 1
    flags: {recipe: best}
    variants: {x: {alpha: 0}}
"""
    session = Session(tmp_path, text, lanes=3)
    assert session.run()
    started = calls(session.places)
    assert sorted(started[:2]) == ["teachers/a-8-itransformer-seed1", "teachers/a-8-patchtst-seed1"]
    assert len(started) == 2 + 4 == len(set(started))
    first = [line.split()[1] for line in session.lines[:2]]
    assert first == ["teacher-a-8-patchtst-seed1:", "teacher-a-8-itransformer-seed1:"]


def test_no_step_is_started_that_would_end_too_late(tmp_path):
    estimator = Estimator({"a": (100, 2), "b": (50, 2)})
    session = Session(tmp_path, blocks("a", "b"), max_seconds=100, estimator=estimator)
    for cell in session.cells:  # 2 s or less for teachers; 150 s for cells of a, 0.1 s for those of b
        for teacher in cell.teachers:
            estimator.measured(teacher, 1.0)
    cost = estimator.cost(session.cells[0])
    estimator._measured[("cell", "best", "patchtst")] = [(cost, 150.0)]
    estimator._measured[("cell", "best")] = [(cost, 150.0)]
    assert estimator.seconds(session.cells[0]) == 150
    assert estimator.seconds(session.cells[2]) < 60
    assert session.run()
    assert sorted(session.results()) == ["b-8-best-patchtst-seed1", "b-8-best-patchtst-seed2"]
    assert session.runner.too_long == [cell.name for cell in session.cells[:2]]


def test_a_lock_is_held_once_and_given_back(tmp_path):
    first, second = StepLock(tmp_path / "x"), StepLock(tmp_path / "x")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    third = StepLock(tmp_path / "x")
    assert third.acquire()
    third.release()


def test_begun_or_finished_as_something_else_is_refused(tmp_path):
    session = Session(tmp_path, blocks("a"))
    assert session.run()
    other = matrix_of(tmp_path, blocks("a").replace("16}", "16, alpha: 3}")).cells
    with pytest.raises(InputError, match=r"'a-8-best-patchtst-seed1' was begun with flags=.*alpha"):
        make_plan(other, session.places)
    for path in session.places.runs.rglob("*.json"):
        path.unlink()
    with pytest.raises(InputError, match=r"holds results of flags=.*alpha"):
        make_plan(other, session.places)
    make_plan(session.cells, session.places)
    teacher_flags = blocks("a") + "    teacher_flags: {patchtst: {num_train_epochs: 2}}\n"
    assert is_done(matrix_of(tmp_path, teacher_flags).cells[0], session.places)
    with pytest.raises(InputError, match="teachers="):
        make_plan(matrix_of(tmp_path, teacher_flags).cells, session.places)


def test_the_time_of_lost_attempts_counts_up_to_their_last_sign_of_life(tmp_path):
    session = Session(tmp_path, blocks("a"))
    cell, places = session.cells[0], session.places
    journal = Journal(cell, places)
    assert journal.seconds() is None
    journal.begin("abc")
    content = json.loads(journal.path.read_text())
    start = content["attempts"][0]["start"]
    places.log(cell).parent.mkdir(parents=True)
    places.log(cell).touch()
    os.utime(places.log(cell), (start + 40, start + 40))
    assert journal.seconds() == pytest.approx(40, abs=1e-3)
    journal.begin("def")
    journal.end()
    assert 40 <= journal.seconds() < 45
    assert journal.commit() == "def"


def test_commit_says_whether_the_code_differs(tmp_path):
    assert code_commit(tmp_path) is None

    def git(*arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/a.py").write_text("a")
    git("init")
    git("add", ".")
    git("commit", "-m", "x")
    clean = code_commit(tmp_path / "scripts")
    assert len(clean) == 40
    (tmp_path / "notes.txt").write_text("no code")
    assert code_commit(tmp_path / "scripts") == clean
    (tmp_path / "scripts/b.py").write_text("b")
    assert code_commit(tmp_path / "scripts") == f"{clean}-dirty"


def test_choose(tmp_path):
    cells = matrix_of(tmp_path, blocks("a", "b")).cells
    assert [cell.name for cell in choose(cells, "b-*-seed2")] == ["b-8-best-patchtst-seed2"]
    assert choose(cells, None) == cells
    with pytest.raises(InputError, match="did you mean 'a-8-best-patchtst-seed1'"):
        choose(cells, "a-8-best-patchtst-seed11")


def test_duration():
    assert [duration(seconds) for seconds in (3.2, 89, 120, 7200)] == ["3 s", "89 s", "2.0 min", "2.0 h"]
