"""The stored signal: the live one, computed once; never believed in parts."""

import json
import logging
import os
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_informer, tiny_teacher
from timedistill_hf import TimeDistillForPrediction, TimeDistillTrainer, TimeDistillTrainingArguments
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.signal_store import folder as store_folder
from timedistill_hf.signal_store import folder as store_layout
from timedistill_hf.signal_store.store import plan_store, split_signal, store_signal
from timedistill_hf.teachers import FAMILIES, Teacher, get_family, load_teacher, trainable_families
from timedistill_hf.training.teacher_training import train_teacher


class Killed(BaseException):
    pass


@pytest.fixture
def small_shards(monkeypatch):
    """About ten windows a shard."""
    monkeypatch.setattr(store_layout, "_SHARD_BYTES", 10 * 4 * CHANNELS * (HORIZON + 8))


def live(teacher, windows, index):
    item = windows[index]
    names = [name for name in item if name.startswith("past") or name == "future_time_features"]
    return teacher(**{name: item[name].unsqueeze(0) for name in names})


def files_of(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_every_window_gets_its_own_signal(data, teacher, tmp_path, small_shards):
    stored = store_signal(teacher, data.train, tmp_path)
    assert len(stored) == len(data.train) == 177
    assert stored.layout.num_shards == 18
    for index in (0, 9, 10, 100, 176, -1):
        signal = live(teacher, data.train, index % 177)
        item = stored[index]
        assert torch.allclose(item["teacher_prediction_outputs"], signal.prediction_outputs[0], atol=1e-6)
        assert torch.allclose(item["teacher_feature"], signal.feature[0], atol=1e-6)
        assert torch.equal(item["past_values"], data.train[index]["past_values"])
    with pytest.raises(IndexError):
        stored[177]
    size = sum(path.stat().st_size for path in stored.folder.glob("*.safetensors"))
    assert stored.layout.num_bytes == 4 * 177 * CHANNELS * (HORIZON + 8) == plan_store(teacher, data.train).num_bytes
    assert stored.layout.num_bytes <= size < stored.layout.num_bytes + 18 * 400


def test_the_teacher_runs_once(data, teacher, tmp_path, small_shards):
    stored = store_signal(teacher, data.train, tmp_path)
    before = files_of(stored.folder)
    calls = []
    teacher.register_forward_hook(lambda *_: calls.append(1))
    again = store_signal(teacher, data.train, tmp_path)
    assert not calls
    assert files_of(again.folder) == before


def test_another_teacher_or_other_windows_are_another_store(data, teacher, tmp_path):
    def fingerprint(teacher=teacher, windows=data.train):
        return plan_store(teacher, windows).fingerprint

    first = fingerprint()
    assert fingerprint(tiny_teacher("itransformer")) == first
    assert fingerprint(tiny_teacher("patchtst")) != first
    teacher.model.save_pretrained(tmp_path)
    assert fingerprint(load_teacher(str(tmp_path))) == first
    changed = tiny_teacher("itransformer")
    with torch.no_grad():
        changed.model.projection.bias[3] += 1e-3
    assert fingerprint(changed) != first
    assert fingerprint(windows=data.validation) != first
    series = synthetic_series(400, CHANNELS)
    scaled = make_windows(series, CONTEXT, HORIZON, SplitSpec(rows=(230, 90, 80)))  # another scaler and fewer windows
    assert fingerprint(windows=scaled.train) != first
    values = data.train.values.clone()
    values[50, 1] += 1e-3
    nudged = type(data.train)(values, data.train.rows, CONTEXT, HORIZON)
    assert fingerprint(windows=nudged) != first
    missing = type(data.train)(data.train.values, data.train.rows, CONTEXT, HORIZON, torch.ones_like(values).bool())
    assert fingerprint(windows=missing) != first


def test_filling_that_is_cut_off_goes_on_and_is_not_believed(data, teacher, tmp_path, small_shards, monkeypatch):
    whole = store_signal(teacher, data.train, tmp_path / "whole")
    save, saved = store_folder.save_file, []

    def killed_inside_the_fifth(tensors, path, **kwargs):
        if len(saved) == 4:
            save(dict(list(tensors.items())[:1]), path, **kwargs)  # half of it is on the disk
            raise Killed
        saved.append(path)
        save(tensors, path, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(store_folder, "save_file", killed_inside_the_fifth)
        with pytest.raises(Killed):
            store_signal(teacher, data.train, tmp_path / "cut")
    folder = tmp_path / "cut" / whole.layout.fingerprint
    assert not (folder / "manifest.json").exists()
    kept = {name: time for name, time in files_of(folder).items() if name.endswith(".safetensors")}
    assert len(kept) == 4
    stored = store_signal(teacher, data.train, tmp_path / "cut")
    assert {name: time for name, time in files_of(folder).items() if name in kept} == kept
    for path in whole.folder.glob("*.safetensors"):
        expected = load_file(path)
        found = load_file(stored.folder / path.name)
        assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", trainable_families())
def test_a_teacher_that_was_trained_is_the_same_when_it_is_loaded(data, name, tmp_path, small_shards):
    """A run that is killed while it fills the store finds its shards again, and so does the next run."""

    def train():
        config = {} if name == "modern_tcn" else {"d_model": 8}
        return train_teacher(
            name, data, tmp_path / "teacher", config=config, max_steps=1, disable_tqdm=True, report_to="none"
        )

    trained, resumed, loaded = train(), train(), load_teacher(str(tmp_path / "teacher"))
    windows = (data.with_time_features() if trained.num_time_features else data).train
    assert plan_store(trained, windows) == plan_store(resumed, windows) == plan_store(loaded, windows)


def test_a_damaged_store_is_filled_anew(data, teacher, tmp_path, small_shards):
    stored = store_signal(teacher, data.train, tmp_path)
    shard = stored.folder / "signal-00003-of-00018.safetensors"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    again = store_signal(teacher, data.train, tmp_path)
    assert shard.read_bytes() == content
    shard.unlink()
    with pytest.raises(InputError, match=r"signal-00003-of-00018.*cannot be read.*it is filled anew"):
        again[35]
    store_signal(teacher, data.train, tmp_path)
    shutil.copy(stored.folder / "signal-00017-of-00018.safetensors", shard)  # whole, but of another shape
    (stored.folder / "manifest.json").write_text("{")
    store_signal(teacher, data.train, tmp_path)
    assert shard.read_bytes() == content


def test_leftovers_of_killed_runs_are_removed_and_other_runs_left_alone(data, teacher, tmp_path):
    folder = tmp_path / plan_store(teacher, data.train).fingerprint
    folder.mkdir()
    old, young = folder / ".1-signal-00000-of-00001.safetensors", folder / ".2-signal-00000-of-00001.safetensors"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (1, 1))
    store_signal(teacher, data.train, tmp_path)
    assert not old.exists()
    assert young.exists()


def test_what_does_not_fit_is_refused_before_anything_is_written(data, teacher, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(store_folder.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(InputError, match=r"takes 51\.0 kB as float32.*has 1\.00 kB free.*teacher_signal=live"):
        store_signal(teacher, data.train, tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))
    other = make_windows(synthetic_series(400, CHANNELS), 40, HORIZON, SplitSpec(rows=(240, 80, 80)))
    with pytest.raises(InputError, match="has context_length=48, the student and its data 40"):
        store_signal(teacher, other.train, tmp_path)
    informer = Teacher(tiny_informer(num_time_features=5), get_family("informer"))
    with pytest.raises(InputError, match="needs 5 calendar features"):
        store_signal(informer, data.train, tmp_path)


def test_calendar_features_are_for_the_teacher_alone(data, tmp_path):
    teacher = Teacher(tiny_informer(num_time_features=5), get_family("informer"))
    windows = data.with_time_features().train
    stored = store_signal(teacher, windows, tmp_path)
    item = stored[33]
    assert "past_time_features" not in item
    assert torch.allclose(
        item["teacher_prediction_outputs"], live(teacher, windows, 33).prediction_outputs[0], atol=1e-5
    )


def test_a_store_travels_to_worker_processes_without_its_maps(data, teacher, tmp_path):
    stored = store_signal(teacher, data.train, tmp_path)
    stored[0]
    copy = pickle.loads(pickle.dumps(stored))
    assert copy._shards == {}
    assert torch.equal(copy[5]["teacher_feature"], stored[5]["teacher_feature"])


def test_signal_columns_are_told_from_inputs():
    x, y, f = torch.zeros(1), torch.ones(1), torch.ones(2)
    assert split_signal({"past_values": x}) == ({"past_values": x}, None)
    rest, signal = split_signal({"past_values": x, "teacher_prediction_outputs": y, "teacher_feature": f})
    assert list(rest) == ["past_values"]
    assert signal.prediction_outputs is y
    assert signal.feature is f
    assert split_signal({"teacher_prediction_outputs": y})[1].feature is None


def run(student_config, tmp_path, **kwargs):
    torch.manual_seed(3)
    args = TimeDistillTrainingArguments(
        str(tmp_path), max_steps=4, learning_rate=0.01, logging_strategy="steps", logging_steps=1,
        disable_tqdm=True, report_to="none", per_device_train_batch_size=8,
    )  # fmt: skip
    trainer = TimeDistillTrainer(TimeDistillForPrediction(student_config), args, **kwargs)
    trainer.train()
    return [{k: v for k, v in entry.items() if "loss" in k} for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_training_from_the_store_gives_the_live_loss(data, name, student_config, tmp_path):
    teacher = tiny_teacher(name)
    windows = store_signal(teacher, data.train, tmp_path / "store")
    expected = run(student_config, tmp_path / "live", teacher=teacher, **data.for_trainer())
    found = run(student_config, tmp_path / "stored", **(data.for_trainer() | {"train_dataset": windows}))
    assert len(expected) == 4
    assert "loss_feature_period" in expected[0]
    for one, other in zip(expected, found, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)


def test_a_trainer_wants_one_signal(data, teacher, student, tmp_path):
    args = TimeDistillTrainingArguments(str(tmp_path), report_to="none")
    with pytest.raises(InputError, match="no teacher: pass teacher"):
        TimeDistillTrainer(student, args, **data.for_trainer())
    stored = {**data.for_trainer(), "train_dataset": store_signal(teacher, data.train, tmp_path)}
    with pytest.raises(InputError, match="leave out one of them"):
        TimeDistillTrainer(student, args, teacher=teacher, **stored)


def test_a_data_set_with_forecasts_only_teaches_without_features(data, teacher, student, tmp_path, caplog):
    stored = store_signal(teacher, data.train, tmp_path)
    items = [{k: v for k, v in stored[i].items() if k != "teacher_feature"} for i in range(16)]
    args = TimeDistillTrainingArguments(str(tmp_path), max_steps=1, report_to="none", disable_tqdm=True)
    trainer = TimeDistillTrainer(student, args, train_dataset=items, eval_dataset=data.validation)
    assert "The teacher has no feature" in caplog.text
    trainer.train()
    shifted = [item | {"teacher_prediction_outputs": item["teacher_prediction_outputs"][:-1]} for item in items]
    with pytest.raises(InputError, match=r"forecasts \(15, 3\), the truth is \(16, 3\)"):
        TimeDistillTrainer(student, args, train_dataset=shifted, eval_dataset=data.validation)


def test_the_manifest_says_what_it_holds(data, teacher, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="timedistill_hf")
    stored = store_signal(teacher, data.train, tmp_path)
    manifest = json.loads((stored.folder / "manifest.json").read_text())
    assert manifest["layout"]["shapes"] == {"prediction_outputs": [HORIZON, CHANNELS], "feature": [CHANNELS, 8]}
    assert manifest["layout"]["teacher"] == "itransformer"
    assert f"177 windows, 51.0 kB as float32 in {stored.folder}\n" in caplog.text


def _flip(path, share):
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 1
    path.write_bytes(bytes(content))


def _nan(path, _):
    content = path.read_bytes()
    path.write_bytes(content[:-8] + torch.tensor(torch.nan).numpy().tobytes() + content[-4:])


def _exchange(path, _):
    """The rows of another shard of the same size, whole and finite."""
    shutil.copyfile(path.with_name(path.name.replace("00003-of", "00004-of")), path)


def _without_checksum(path, _):
    tensors = load_file(path)
    tensors["prediction_outputs"][0, 0] += 1
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("spoil", "where"),
    [(_flip, 0), (_flip, 0.01), (_flip, 0.5), (_flip, 1), (_nan, None), (_exchange, None), (_without_checksum, None)],
)
@pytest.mark.parametrize("is_complete", [True, False])
def test_values_that_were_not_written_are_filled_anew(
    data, teacher, tmp_path, small_shards, caplog, spoil, where, is_complete
):
    """In a store that is complete, and in one that a killed run left."""
    stored = store_signal(teacher, data.train, tmp_path)
    shard = next(stored.folder.glob("signal-00003-of-*"))
    before, files = {name: values.clone() for name, values in load_file(shard).items()}, files_of(stored.folder)
    if not is_complete:
        (stored.folder / "manifest.json").unlink()
    spoil(shard, where)
    windows = []
    teacher.register_forward_hook(lambda _, __, signal: windows.append(len(signal.prediction_outputs)))
    again = store_signal(teacher, data.train, tmp_path)
    found = load_file(shard)
    assert all(torch.allclose(values, found[name], atol=1e-6) for name, values in before.items())
    assert sum(windows) == 11, "one shard of ten, and a window whose signal shows the shapes"
    assert torch.allclose(again[30]["teacher_feature"], live(teacher, data.train, 30).feature[0], atol=1e-6)
    rewritten = {name for name, mtime in files_of(stored.folder).items() if mtime != files.get(name)}
    assert rewritten == {shard.name, "manifest.json"}
    if is_complete and spoil is not _without_checksum:  # which is shorter
        assert "1 parts are not as they were written" in caplog.text


def test_values_are_read_once_a_run(data, teacher, tmp_path, small_shards, monkeypatch):
    store_signal(teacher, data.train, tmp_path)
    store_folder._VERIFIED.clear()
    read, checksum = [], store_folder.StoreFolder._checksum
    monkeypatch.setattr(store_folder.StoreFolder, "_checksum", lambda *what: read.append(1) or checksum(*what))
    for _ in range(3):
        store_signal(teacher, data.train, tmp_path)
    assert len(read) == 18
