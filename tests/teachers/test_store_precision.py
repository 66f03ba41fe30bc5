"""A store in half precision: half the bytes, the same training, never an infinite value on the disk."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import CHANNELS, HORIZON, tiny_teacher
from tests.teachers.test_store import run
from timedistill_hf._utils.errors import InputError
from timedistill_hf.signal_store import folder as store_layout
from timedistill_hf.signal_store.store import estimate_store, find_store, plan_store, split_signal, store_signal
from timedistill_hf.teachers import FrozenTeacher, TeacherSignal
from timedistill_hf.training.trainer import TimeDistillTrainer


HALF = torch.float16


class Says(FrozenTeacher):
    """Forecasts ones, and one value in the place of one of them."""

    name, prediction_length, num_time_features = "says", HORIZON, 0

    def __init__(self, windows, row: int, value: float):
        super().__init__()
        self.past, self.value = windows[row]["past_values"], value

    def forward(self, past_values, past_observed_mask=None, **time_features):
        forecast = torch.ones(len(past_values), HORIZON, past_values.shape[2])
        forecast[(past_values == self.past).all(dim=2).all(dim=1), 4, 1] = self.value
        return TeacherSignal(forecast)

    def check_fits(self, context_length, prediction_length, num_input_channels):
        pass

    def check_time_features(self, offered):
        pass

    def fingerprint(self):
        return f"says {self.value}"


def test_half_the_bytes_of_the_same_values(data, teacher, tmp_path):
    whole = store_signal(teacher, data.train, tmp_path)
    half = store_signal(teacher, data.train, tmp_path, dtype=HALF)
    assert half.folder != whole.folder
    assert (half.layout.dtype, whole.layout.dtype) == ("float16", "float32")
    assert 2 * half.layout.num_bytes == whole.layout.num_bytes == 4 * 177 * CHANNELS * (HORIZON + 8)
    (path,), (other,) = (store.folder.glob("*.safetensors") for store in (half, whole))
    stored, exact = load_file(path), load_file(other)
    for name in exact:
        assert stored[name].dtype == HALF
        # the nearest of half precision, which is half of a last place off at most; the teacher ran once for each
        assert torch.allclose(stored[name].float(), exact[name], rtol=2**-11 + 1e-5, atol=1e-6)
    assert path.stat().st_size < 0.6 * other.stat().st_size
    assert half[9]["teacher_feature"].dtype == HALF


def test_training_from_half_precision_gives_the_live_loss_nearly(data, teacher, student_config, tmp_path, monkeypatch):
    seen = []
    original = TimeDistillTrainer.compute_loss

    def watched(self, model, inputs, *args, **kwargs):
        if model.training and "teacher_feature" in inputs:
            seen.append((inputs["teacher_feature"].dtype, inputs["teacher_prediction_outputs"].dtype))
        return original(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(TimeDistillTrainer, "compute_loss", watched)
    losses = {"live": run(student_config, tmp_path / "live", teacher=teacher, **data.for_trainer())}
    for dtype in (torch.float32, HALF):
        windows = store_signal(teacher, data.train, tmp_path / "store", dtype=dtype)
        losses[dtype] = run(student_config, tmp_path / "run", **(data.for_trainer() | {"train_dataset": windows}))
    assert set(seen) == {(torch.float32, torch.float32), (HALF, HALF)}  # as small as on the disk until the last
    for live, whole, half in zip(*losses.values(), strict=True):
        assert whole == pytest.approx(live, rel=1e-4, abs=1e-6)
        assert half == pytest.approx(live, rel=5e-3, abs=1e-4)
    assert losses[HALF] != losses[torch.float32]


def test_what_a_signal_holds_is_float32_where_it_is_used():
    batch = {"teacher_prediction_outputs": torch.ones(2, dtype=HALF), "teacher_known": torch.tensor([True])}
    _, signal = split_signal(batch)
    assert signal.prediction_outputs.dtype == torch.float32
    assert signal.feature is None
    assert signal.known.dtype == torch.bool


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (70_000.0, HALF, r"forecast of window 103 holds 70,000, float16 ends at 65,504: .*signal_dtype=float32"),
        (-1e30, HALF, r"forecast of window 103 holds -1e\+30, float16 ends at 65,504"),
        (float("nan"), HALF, r"forecast of window 103 holds nan: nothing can be learnt from that"),
        (float("inf"), torch.float32, r"forecast of window 103 holds inf: nothing can be learnt from that"),
    ],
)
def test_what_cannot_be_stored_is_named_and_never_written(data, tmp_path, value, dtype, message):
    with pytest.raises(InputError, match=message):
        store_signal(Says(data.train, 103, value), data.train, tmp_path, dtype=dtype, batch_size=10)
    assert not list(tmp_path.rglob("*safetensors"))
    assert not list(tmp_path.rglob("manifest.json"))


def test_the_largest_of_half_precision_is_stored(data, tmp_path):
    for value, stored in ((65_504.0, 65_504.0), (65_519.0, 65_504.0), (1e-9, 0.0)):
        windows = store_signal(Says(data.train, 103, value), data.train, tmp_path, dtype=HALF)
        assert windows[103]["teacher_prediction_outputs"][4, 1] == stored
        assert windows[102]["teacher_prediction_outputs"][4, 1] == 1


def test_other_precisions_are_refused(data, teacher, tmp_path):
    with pytest.raises(InputError, match=r"stored as float32 or float16, not as torch\.bfloat16"):
        store_signal(teacher, data.train, tmp_path, dtype=torch.bfloat16)


def test_a_store_whose_shards_were_cut_otherwise_is_found(data, teacher, tmp_path):
    """Its fingerprint is that of 0.1.0."""
    layout = plan_store(teacher, data.train)
    parts = (layout.format, teacher.fingerprint(), data.train.fingerprint())
    assert layout.fingerprint == hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_layout, "_SHARD_BYTES", 20 * 4 * CHANNELS * (HORIZON + 8))
        stored = store_signal(teacher, data.train, tmp_path)
    manifest = stored.folder / "manifest.json"
    content = json.loads(manifest.read_text())
    again = store_signal(teacher, data.train, tmp_path)
    assert json.loads(manifest.read_text()) == content
    assert (again.layout.num_shards, plan_store(teacher, data.train).num_shards) == (9, 1)
    for index in (0, 19, 20, 176):
        assert torch.equal(again[index]["teacher_feature"], stored[index]["teacher_feature"])
    assert find_store(teacher, data.train, tmp_path, dtype=HALF) is None


def test_a_shard_of_another_precision_is_filled_anew(data, teacher, tmp_path):
    stored = store_signal(teacher, data.train, tmp_path)
    half = store_signal(teacher, data.train, tmp_path, dtype=HALF)
    (path,), (other,) = (store.folder.glob("*.safetensors") for store in (stored, half))
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    (stored.folder / "manifest.json").unlink()
    store_signal(teacher, data.train, tmp_path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("windows", "bytes_per_window", "expected"),
    [
        (7825, 4 * 7 * 96, 512),  # ETTh1, forecasts only: 16 shards, though all of it is 21 MB
        (7825, 4 * 7 * (96 + 960), 512),
        (17_597, 4 * 321 * (96 + 960), 49),  # electricity: 64 MiB a shard
        (177, 288, 177),
        (1, 10**9, 1),  # one window beyond the limit
    ],
)
def test_shards_are_small_enough_to_share_and_large_enough_for_batches(windows, bytes_per_window, expected):
    found = store_layout.windows_per_shard(windows, bytes_per_window)
    assert found == expected
    assert found * bytes_per_window <= 64 * 2**20 or found == 1


def test_an_estimate_runs_a_batch_and_writes_nothing(data, tmp_path, monkeypatch):
    teacher = tiny_teacher("itransformer")
    sizes = []
    teacher.register_forward_pre_hook(lambda _, __, inputs: sizes.append(len(inputs["past_values"])), with_kwargs=True)
    monkeypatch.setattr(store_layout, "_SHARD_BYTES", 10 * 2 * CHANNELS * (HORIZON + 8))
    estimate = estimate_store(teacher, data.train, tmp_path / "store", dtype=HALF, batch_size=16)
    assert sizes == [1, 16]
    assert not (tmp_path / "store").exists()
    assert estimate.missing == 177
    assert 0 < estimate.seconds < 60
    assert str(estimate).startswith("177 windows, 25.5 kB as float16 in ")
    stored = store_signal(teacher, data.train, tmp_path / "store", dtype=HALF)
    for number in (3, 5):
        (stored.folder / f"signal-{number:05d}-of-00018.safetensors").unlink()
    (stored.folder / "manifest.json").unlink()
    sizes.clear()
    part = estimate_store(teacher, data.train, tmp_path / "store", dtype=HALF, batch_size=16)
    assert (part.missing, sizes) == (20, [1, 16])
    assert " of it there already, about " in str(part)
    store_signal(teacher, data.train, tmp_path / "store", dtype=HALF)
    sizes.clear()
    whole = estimate_store(teacher, data.train, tmp_path / "store", dtype=HALF)
    assert (whole.missing, sizes) == (0, [])
    assert "all of it there already" in str(whole)
