"""Two runs that fill one store at the same time: each shard is computed once, and both end with all of it."""

import json
import shutil
import threading
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from tests.conftest import CHANNELS, HORIZON, tiny_teacher
from tests.forked import end, start
from timedistill_hf.signal_store import filling as store_filling
from timedistill_hf.signal_store import folder as store_layout
from timedistill_hf.signal_store.store import store_signal


THREE_WINDOWS = 3 * 4 * CHANNELS * (HORIZON + 8)
"""Bytes of a shard, so that there are 59."""


def fill(data, directory: Path) -> dict:
    """Which windows the teacher ran to fill the store, and sums of what every window then holds."""
    rows = {item["past_values"].numpy().tobytes(): number for number, item in enumerate(data.train)}
    teacher, ran = tiny_teacher("itransformer"), []

    def remember(_, __, inputs):
        if len(inputs["past_values"]) > 1 or ran:  # one is run first, alone, to see its shapes
            ran.extend(rows[past.numpy().tobytes()] for past in inputs["past_values"])

    teacher.register_forward_pre_hook(remember, with_kwargs=True)
    windows = store_signal(teacher, data.train, directory)
    sums = [(item["teacher_prediction_outputs"].sum() + item["teacher_feature"].sum()).item() for item in windows]
    return {"ran": ran, "sums": sums, "shards": windows.layout.num_shards}


def test_two_processes_started_together_share_the_work(data, tmp_path, monkeypatch):
    monkeypatch.setattr(store_layout, "_SHARD_BYTES", THREE_WINDOWS)
    child = start(tmp_path / "log", lambda: print(json.dumps(fill(data, tmp_path / "store"))))
    here = fill(data, tmp_path / "store")
    done = end(tmp_path / "log", child)
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    assert here["shards"] == there["shards"] == 59
    assert sorted(here["ran"] + there["ran"]) == list(range(177))  # each window once, by one of them
    assert here["sums"] == there["sums"]
    (folder,) = (tmp_path / "store").iterdir()
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}  # no lock, no leftover
    monkeypatch.undo()
    alone = fill(data, tmp_path / "alone")
    assert alone["shards"] == 1
    assert here["sums"] == pytest.approx(alone["sums"], abs=1e-4)


@pytest.fixture
def small_shards(monkeypatch):
    """About ten windows a shard."""
    monkeypatch.setattr(store_layout, "_SHARD_BYTES", 10 * 4 * CHANNELS * (HORIZON + 8))


class Elsewhere:
    """Another run is at work on shard 3 while this one fills all others."""

    def __init__(self, data, folder: Path):
        self.whole = store_signal(tiny_teacher("itransformer"), data.train, folder / "whole")
        self.path = folder / "cut" / self.whole.layout.fingerprint / "signal-00003-of-00018.safetensors"
        self.path.parent.mkdir(parents=True)
        self.lock = FileLock(self.path.with_suffix(".lock"))
        self.lock.acquire()
        self.rows = 0
        self.others_done = threading.Event()
        teacher = tiny_teacher("itransformer")
        teacher.register_forward_hook(self._count, with_kwargs=True)
        self.thread = threading.Thread(target=self._fill, args=(teacher, data, folder / "cut"))
        self.thread.start()

    def _count(self, _, __, inputs, ___):
        self.rows += len(inputs["past_values"])
        if self.rows >= 1 + 167:
            self.others_done.set()

    def _fill(self, teacher, data, folder):
        self.stored = store_signal(teacher, data.train, folder)

    def release(self) -> None:
        assert self.others_done.wait(60)
        assert self.rows == 1 + 167
        self.lock.release()
        self.thread.join(60)
        assert not self.thread.is_alive()
        for index in (29, 30, 39, 40, 176):
            torch.testing.assert_close(self.stored[index]["teacher_feature"], self.whole[index]["teacher_feature"])


def test_a_shard_that_another_run_fills_is_left_to_it(data, tmp_path, small_shards):
    elsewhere = Elsewhere(data, tmp_path)
    assert elsewhere.others_done.wait(60)
    shutil.copy(elsewhere.whole.folder / elsewhere.path.name, elsewhere.path)
    elsewhere.release()
    assert elsewhere.rows == 1 + 167


def test_a_shard_of_a_run_that_was_killed_is_filled_here(data, tmp_path, small_shards):
    elsewhere = Elsewhere(data, tmp_path)
    elsewhere.release()  # as the system does, without the shard
    assert elsewhere.rows == 1 + 177


def test_a_run_that_hangs_does_not_hold_up_another(data, tmp_path, small_shards, monkeypatch):
    monkeypatch.setattr(store_filling, "_PATIENCE_SECONDS", 0.1)
    elsewhere = Elsewhere(data, tmp_path)
    elsewhere.thread.join(60)
    assert elsewhere.rows == 1 + 177
    elsewhere.lock.release()


@pytest.mark.parametrize("error", [NotImplementedError, PermissionError])
def test_where_nothing_can_be_locked_the_store_is_filled_all_the_same(data, teacher, tmp_path, monkeypatch, error):
    def refuse(self, timeout):
        raise error

    monkeypatch.setattr(FileLock, "acquire", refuse)
    stored = store_signal(teacher, data.train, tmp_path)
    assert torch.isfinite(stored[0]["teacher_feature"]).all()
