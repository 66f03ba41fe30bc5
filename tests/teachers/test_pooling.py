"""How a feature with patches becomes one vector a channel."""

import numpy as np
import pytest
import torch

from tests.conftest import CHANNELS, CONTEXT, HORIZON, WIDTH, tiny_teacher
from timedistill_hf import TimeDistillTrainer, TimeDistillTrainingArguments
from timedistill_hf._utils.errors import InputError
from timedistill_hf.distillation.recipes import paper
from timedistill_hf.distillation.settings import RunSettings
from timedistill_hf.distillation.teachers import RunTeachers
from timedistill_hf.settings.run import DistillSettings
from timedistill_hf.signal_store.store import plan_store, store_signal
from timedistill_hf.teachers import FAMILIES, Teacher, get_family, load_teacher
from timedistill_hf.teachers.combined import SeveralTeachers
from timedistill_hf.teachers.signal import POOLINGS, pool_feature


WITH_PATCHES = ["patchtst", "patchtsmixer", "modern_tcn"]
MEAN_BY_DEFAULT = ["chronos"]


def by_loops(feature, layout, pooling):
    """One window and channel at a time, from its patches as a list of vectors."""
    pooled = []
    for window in feature.numpy():
        for channel in window:
            patches = list(channel if layout == "B C N d" else channel.T)
            if pooling == "flatten":
                pooled.append(channel.ravel())
            else:
                pooled.append(patches[-1] if pooling == "last" else sum(patches) / len(patches))
    return torch.from_numpy(np.array(pooled)).unflatten(0, feature.shape[:2])


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layout", ["B C N d", "B C d N"])
def test_pooling_agrees_with_loops(layout, pooling):
    feature = torch.randn(2, 3, 4, 5)
    assert torch.allclose(pool_feature(feature, layout, pooling), by_loops(feature, layout, pooling))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_one_vector_a_channel_is_left_alone(pooling):
    feature = torch.randn(2, 3, 4)
    assert pool_feature(feature, "B C d", pooling) is feature


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_declares_the_layout_that_it_gives(name):
    teacher, family = tiny_teacher(name), get_family(name)
    inputs = {"prediction_length": HORIZON} if family.rolls_out else {}
    feature = family.signal(teacher.model, torch.randn(2, CONTEXT, CHANNELS), None, **inputs).feature
    layout = family.feature_layout.split()
    assert layout[:2] == ["B", "C"]
    assert sorted(layout[2:]) == (["N", "d"] if name in WITH_PATCHES + MEAN_BY_DEFAULT else ["d"])
    assert feature.dim() == len(layout)
    assert feature.shape[:2] == (2, CHANNELS)
    if name in WITH_PATCHES + MEAN_BY_DEFAULT:
        assert feature.shape[layout.index("d")] == teacher.config.d_model
    assert family.feature_pooling == ("mean" if name in MEAN_BY_DEFAULT else "flatten")


@pytest.mark.parametrize("name", WITH_PATCHES)
def test_a_pooled_teacher_forecasts_the_same(name, tmp_path):
    teacher = tiny_teacher(name)
    x = torch.randn(2, CONTEXT, CHANNELS)
    flat, width = teacher(past_values=x), teacher.config.d_model
    assert teacher.feature_pooling == "flatten"
    assert flat.feature.shape[2] % width == 0
    assert flat.feature.shape[2] > width
    for pooling in ("mean", "last"):
        pooled = teacher.pooled(pooling)
        signal = pooled(past_values=x)
        assert signal.feature.shape == (2, CHANNELS, width)
        assert torch.equal(signal.prediction_outputs, flat.prediction_outputs)
        assert pooled.model is teacher.model
        assert pooled.cut(HORIZON - 1).feature_pooling == pooling
        assert pooled.pooled(None).feature_pooling == pooling
        teacher.model.save_pretrained(tmp_path)
        loaded = load_teacher(str(tmp_path), feature_pooling=pooling)
        assert torch.equal(loaded(past_values=x).feature, signal.feature)


def test_another_pooling_is_another_store(data, tmp_path):
    teacher = tiny_teacher("patchtst")
    teachers = [teacher, teacher.pooled("mean"), teacher.pooled("last")]
    plans = [plan_store(each, data.train) for each in teachers]
    assert len({plan.fingerprint for plan in plans}) == 3
    assert plan_store(teacher.pooled("flatten"), data.train).fingerprint == plans[0].fingerprint
    assert plan_store(teachers[1], data.train).num_bytes == 4 * len(data.train) * CHANNELS * (HORIZON + 8)
    item = store_signal(teachers[2], data.train, tmp_path)[5]
    live = teachers[2](past_values=data.train[5]["past_values"].unsqueeze(0))
    assert torch.allclose(item["teacher_feature"], live.feature[0], atol=1e-5)
    untouched = tiny_teacher("itransformer")
    assert untouched.pooled("mean").fingerprint() == untouched.fingerprint()


def test_the_regressor_is_of_the_pooled_size_and_said(student, data, tmp_path, caplog):
    caplog.set_level("INFO")
    sizes = []
    for pooling in ("flatten", "mean"):
        args = TimeDistillTrainingArguments(output_dir=str(tmp_path), report_to="none")
        teacher = tiny_teacher("patchtst").pooled(pooling)
        trainer = TimeDistillTrainer(student, args, teacher=teacher, **data.for_trainer())
        sizes.append(trainer.regressor[0].in_features)
        count = sum(parameter.numel() for parameter in trainer.regressor.parameters())
        assert f"Regressor of the teacher's feature: {sizes[-1]} -> {WIDTH}, {count:,} parameters" in caplog.text
    assert sizes == [6 * 8, 8]


def run_teachers(names, folder, **settings):
    given = {"teacher": names, "output_dir": str(folder), "report_to": "none"}
    return RunTeachers(RunSettings.of(given | settings), {})


def test_the_flag_reaches_every_teacher_that_has_patches(data, tmp_path):
    tiny_teacher("patchtst").model.save_pretrained(tmp_path / "saved")
    names = ["itransformer", "modern_tcn", str(tmp_path / "saved")]
    run = run_teachers(names, tmp_path, feature_pooling="last")
    teachers = run.untrained(data, run.load(data))
    assert isinstance(teachers, SeveralTeachers)
    assert [teacher.feature_pooling for teacher in teachers.members] == [None, "last", "last"]
    plain = run_teachers(names, tmp_path)
    assert [teacher.feature_pooling for teacher in plain.untrained(data, plain.load(data)).members][1:] == [
        "flatten",
        "flatten",
    ]


def test_where_there_is_nothing_to_pool_it_is_said(data, tmp_path):
    with pytest.raises(InputError, match="feature_pooling=mean: itransformer has one feature a channel"):
        run_teachers(["itransformer"], tmp_path, feature_pooling="mean").load(data)
    run_teachers(["itransformer"], tmp_path, feature_pooling="flatten").load(data)
    with pytest.raises(InputError, match="feature_pooling='lats': expected one of flatten, mean, last"):
        Teacher(tiny_teacher("patchtst").model, get_family("patchtst"), feature_pooling="lats")


def test_paper_keeps_flattening():
    assert paper("etth1", "modern_tcn")["feature_pooling"] == "flatten"
    (choices,) = [
        field.metadata["choices"]
        for field in DistillSettings.__dataclass_fields__.values()
        if field.name == "feature_pooling"
    ]
    assert tuple(choices) == POOLINGS
