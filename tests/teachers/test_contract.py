"""What every teacher promises, be it of a family, any other model, a function or a table of forecasts."""

import pytest
import torch
from torch.utils.data import DataLoader

from tests.conftest import CHANNELS, CONTEXT, HORIZON, tiny_patchtst, tiny_teacher
from timedistill_hf import (
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
)
from timedistill_hf._utils.errors import InputError
from timedistill_hf.data import SplitSpec, make_windows
from timedistill_hf.data.windows import ForecastData, split_targets
from timedistill_hf.signal_store.quality import teacher_against_naive, warn_if_worse_than_naive
from timedistill_hf.signal_store.store import split_signal, store_signal
from timedistill_hf.signal_store.table import TableTeacher
from timedistill_hf.signal_store.writing import write_forecasts
from timedistill_hf.teachers import (
    FAMILIES,
    FrozenTeacher,
    Teacher,
    TeacherSignal,
    get_family,
    load_teacher,
    teacher_family_name,
    trainable_families,
)
from timedistill_hf.teachers.external import CallableTeacher
from timedistill_hf.teachers.families.generic import generic_family
from timedistill_hf.training.arguments import ForecastTrainingArguments


OTHERS = ("generic", "callable", "table")
every_family = pytest.mark.parametrize("name", sorted(FAMILIES))
every_model = pytest.mark.parametrize("name", [*sorted(FAMILIES), "generic"])
every_live_teacher = pytest.mark.parametrize("name", [*sorted(FAMILIES), "generic", "callable"])
every_teacher = pytest.mark.parametrize("name", [*sorted(FAMILIES), *OTHERS])


def backwards(past_values):
    """The last steps in their reverse order."""
    return past_values[:, : -HORIZON - 1 : -1]


def make(name: str) -> FrozenTeacher:
    """An untrained teacher that forecasts live."""
    if name == "generic":
        torch.manual_seed(1)
        config = TimeDistillConfig(
            context_length=CONTEXT, prediction_length=HORIZON, num_input_channels=CHANNELS, hidden_size=8
        )
        return Teacher(TimeDistillForPrediction(config), generic_family(config, "here", FAMILIES))
    if name == "callable":
        lengths = {"context_length": CONTEXT, "prediction_length": HORIZON}
        return CallableTeacher(backwards, name="backwards", version="1", **lengths)
    return tiny_teacher(name)


class Says:
    """A teacher's signal for the windows of one part, as training gets it: `windows` with it, and all it `said`."""

    def __init__(self, name: str, data: ForecastData, folder, part: str = "train"):
        windows = getattr(data, part)
        if name == "table":
            teacher = make("itransformer")
            folder.mkdir(exist_ok=True)
            path = write_forecasts(teacher, data, folder / "forecasts.parquet", overwrite=True)
            self.windows = TableTeacher(path, data, directory=folder).windows(data, part)
        else:
            self.windows = store_signal(make(name), windows, folder)
        (batch,) = DataLoader(self.windows, batch_size=len(self.windows))
        _, self.said = split_signal(split_targets(batch)[0])


@every_teacher
def test_the_signal_has_its_shape_and_knows_nothing_of_the_future(name, data, tmp_path):
    """Through the store or a table: changing all values from a row on changes no forecast that begins before it."""
    said = Says(name, data, tmp_path / "now").said
    assert said.prediction_outputs.shape == (len(data.train), HORIZON, CHANNELS)
    assert torch.isfinite(said.prediction_outputs).all()
    if said.feature is not None:
        assert said.feature.shape[:2] == (len(data.train), CHANNELS)
    row = 150
    values = data.series.values.clone()
    values[row:] = 100 * torch.randn_like(values[row:])
    changed = make_windows(
        type(data.series)(values, data.series.columns, data.series.timestamps),
        CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)), data.processor,
    )  # fmt: skip
    other = Says(name, changed, tmp_path / "changed").said
    before = row - data.train.first_origin + 1
    for one, two in zip(said, other, strict=True):
        if one is not None:
            assert torch.allclose(one[:before], two[:before], atol=1e-5)
            assert not torch.allclose(one[before:], two[before:], atol=1e-5)


@every_live_teacher
def test_it_is_deterministic_also_one_window_at_a_time(name):
    teacher = make(name).train()
    x = torch.randn(4, CONTEXT, CHANNELS)
    signal, again, single = teacher(past_values=x), teacher(past_values=x), teacher(past_values=x[:1])
    assert signal.known is None
    for one, two, alone in zip(signal, again, single, strict=True):
        assert one is two is alone or (torch.equal(one, two) and torch.allclose(one[:1], alone, atol=1e-4))


@every_live_teacher
def test_future_values_in_the_batch_change_nothing(name):
    teacher = make(name)
    x, truth = torch.randn(2, CONTEXT, CHANNELS), torch.randn(2, HORIZON, CHANNELS)
    told = teacher(past_values=x, future_values=truth, future_observed_mask=truth > 0)
    assert torch.equal(told.prediction_outputs, teacher(past_values=x).prediction_outputs)


@pytest.mark.parametrize("name", [*trainable_families(), "generic"])
def test_the_forecast_is_the_models_own(name):
    teacher = make(name)
    x = 3 * torch.randn(4, CONTEXT, CHANNELS) + 5
    own = teacher.model(past_values=x).prediction_outputs
    assert torch.allclose(teacher(past_values=x).prediction_outputs, own, atol=1e-5)


@every_live_teacher
def test_a_teacher_is_frozen_for_good(name):
    teacher = make(name).train()
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    x = torch.randn(2, CONTEXT, CHANNELS, requires_grad=True)
    before = {key: tensor.clone() for key, tensor in teacher.state_dict().items()}
    signal = teacher(past_values=x)
    assert not any(part.requires_grad for part in signal if part is not None)
    assert all(torch.equal(before[key], tensor) for key, tensor in teacher.state_dict().items())


@every_live_teacher
def test_missing_values_are_behind_the_mask(name):
    teacher = make(name)
    x, mask = torch.randn(2, CONTEXT, CHANNELS), torch.rand(2, CONTEXT, CHANNELS) > 0.2
    mask[:, -24:] &= torch.rand(2, 24, CHANNELS) > 0.2
    seen = teacher(past_values=torch.where(mask, x, 0.0), past_observed_mask=mask)
    hidden = teacher(past_values=torch.where(mask, x, torch.nan), past_observed_mask=mask)
    assert torch.isfinite(seen.prediction_outputs).all()
    for one, two in zip(seen, hidden, strict=True):
        assert one is two or torch.equal(one, two)
    assert not torch.allclose(seen.prediction_outputs, teacher(past_values=x).prediction_outputs)
    all_there = torch.ones_like(mask)
    assert torch.allclose(
        teacher(past_values=x, past_observed_mask=all_there).prediction_outputs,
        teacher(past_values=x).prediction_outputs,
        atol=1e-5,
    )


@every_model
def test_it_is_bound_to_its_channels_or_takes_any(name):
    teacher = make(name)
    bound = teacher.family.channels(teacher.config)
    if bound is not None:
        assert bound == CHANNELS
        with pytest.raises(InputError, match="trained on 3 channels, the data have 5"):
            teacher.check_fits(CONTEXT, HORIZON, 5)
        return
    teacher.check_fits(CONTEXT, HORIZON, 5)
    signal = teacher(past_values=torch.randn(2, CONTEXT, 5))
    assert signal.prediction_outputs.shape == (2, HORIZON, 5)
    assert signal.feature.shape[:2] == (2, 5)


@every_model
def test_channels_are_independent_where_that_is_promised(name):
    teacher = make(name)
    x = torch.randn(2, CONTEXT, CHANNELS)
    other = torch.cat([x[..., :1], 9 * torch.randn(2, CONTEXT, CHANNELS - 1) + 4], dim=-1)
    first = [teacher(past_values=values) for values in (x, other)]
    is_same = torch.allclose(*(signal.prediction_outputs[..., 0] for signal in first), atol=1e-5)
    if teacher.family.is_channel_independent(teacher.config):
        assert is_same
        assert torch.allclose(*(signal.feature[:, 0] for signal in first), atol=1e-4)


@every_family
def test_a_single_channel_will_do(name):
    if name == "chronos":
        pytest.importorskip("chronos")
    family = get_family(name)
    config = family.config(CONTEXT, HORIZON, 1)
    teacher = Teacher(family.class_of(config)(config), family).cut(HORIZON)
    signal = teacher(past_values=torch.randn(2, CONTEXT, 1))
    assert signal.prediction_outputs.shape == (2, HORIZON, 1)
    assert signal.feature.shape[:2] == (2, 1)


@every_model
def test_save_and_load(name, tmp_path):
    teacher = make(name)
    teacher.model.save_pretrained(tmp_path)
    loaded = load_teacher(str(tmp_path)).cut(HORIZON)
    x = torch.randn(2, CONTEXT, CHANNELS)
    assert torch.equal(loaded(past_values=x).prediction_outputs, teacher(past_values=x).prediction_outputs)
    assert torch.equal(loaded(past_values=x).feature, teacher(past_values=x).feature)
    assert loaded.fingerprint() == teacher.fingerprint()
    assert teacher_family_name(str(tmp_path)) == teacher.name


@every_model
def test_one_saved_in_half_precision_serves_in_single_or_half(name, tmp_path):
    teacher = make(name)
    x = torch.randn(2, CONTEXT, CHANNELS)
    exact = teacher(past_values=x).prediction_outputs
    teacher.model.to(torch.bfloat16).save_pretrained(tmp_path)
    for dtype in ("float32", "bfloat16"):
        signal = load_teacher(str(tmp_path), dtype=dtype).cut(HORIZON)(past_values=x)
        assert signal.prediction_outputs.dtype == signal.feature.dtype == torch.float32
        assert (signal.prediction_outputs - exact).abs().max() < 0.1 * exact.std() + 0.02


@every_live_teacher
def test_under_the_trainings_autocast(name):
    """`--bf16` trains so: a live teacher runs inside autocast."""
    teacher = make(name)
    x = torch.randn(2, CONTEXT, CHANNELS)
    exact = teacher(past_values=x).prediction_outputs
    with torch.autocast("cpu", torch.bfloat16):
        signal = teacher(past_values=x)
    assert signal.prediction_outputs.dtype == torch.float32
    assert (signal.prediction_outputs - exact).abs().max() < 0.1 * exact.std() + 0.02


@every_family
def test_default_configuration_and_training_settings_are_valid(name, tmp_path):
    family = get_family(name)
    config = family.config(720, 96, 7)
    assert config.model_type == name or "chronos_config" in config.to_dict()
    family.check_lengths(config, 720, 96)
    if not family.checkpoint:
        assert (family.look_back(config), family.horizon(config)) == (720, 96)
        ForecastTrainingArguments(output_dir=str(tmp_path), **family.training_defaults)


def distilled(data, windows, alpha, beta, folder) -> torch.Tensor:
    """Forecasts of the validation windows, by a student after a dozen steps, always from the same start."""
    torch.manual_seed(3)
    student = TimeDistillForPrediction(TimeDistillConfig(**data.shape, hidden_size=16, hidden_norm="layernorm"))
    args = TimeDistillTrainingArguments(
        str(folder), alpha=alpha, beta=beta, max_steps=12, learning_rate=0.01, eval_strategy="no", save_strategy="no",
        disable_tqdm=True, report_to="none",
    )  # fmt: skip
    TimeDistillTrainer(student, args, train_dataset=windows, eval_dataset=data.validation).train()
    (batch,) = DataLoader(data.validation, batch_size=len(data.validation))
    with torch.no_grad():
        return student.eval()(past_values=batch["past_values"]).prediction_outputs


def forecasts_without_a_teacher(data, folder) -> torch.Tensor:
    return distilled(data, store_signal(make("callable"), data.train, folder / "store"), 0.0, 0.0, folder)


@pytest.fixture(scope="module")
def not_distilled(data, tmp_path_factory):
    return forecasts_without_a_teacher(data, tmp_path_factory.mktemp("plain"))


@every_teacher
def test_a_student_comes_closer_to_its_teacher(name, data, not_distilled, tmp_path):
    """On windows that neither has seen, and whatever the teacher says: untrained ones say nothing that is true."""
    says = Says(name, data, tmp_path)
    found = distilled(data, says.windows, 5.0, 0.1, tmp_path / "run")
    said = Says(name, data, tmp_path / "validation", part="validation").said.prediction_outputs
    distances = [(forecast - said).square().mean().item() for forecast in (found, not_distilled)]
    assert distances[0] < 0.8 * distances[1]


def test_a_teacher_that_knows_lowers_the_students_error(data, tmp_path):
    """The truth that both students are taught is drowned in noise; one also hears a teacher that knows it."""
    truth = torch.stack([data.validation[index]["future_values"] for index in range(len(data.validation))])
    windows = [data.train[index] for index in range(len(data.train))]
    for item in windows:
        item["teacher_prediction_outputs"] = item["future_values"]
        item["future_values"] = item["future_values"] + 6 * torch.randn_like(item["future_values"])
    errors = {
        alpha: (distilled(data, windows, alpha, 0.0, tmp_path / f"{alpha}") - truth).square().mean().item()
        for alpha in (0.0, 5.0)
    }
    assert errors[5.0] < 0.9 * errors[0.0]


def test_patchtst_distribution_head_forecasts_its_mean():
    model = tiny_patchtst(loss="nll", distribution_output="normal", pooling_type="mean").eval()
    teacher = Teacher(model, get_family("patchtst"))
    x = torch.randn(2, CONTEXT, CHANNELS) * 3 + 1
    output = model(past_values=x)
    expected = model.distribution_output.distribution(output.prediction_outputs, loc=output.loc, scale=output.scale)
    assert torch.allclose(teacher(past_values=x).prediction_outputs, expected.mean, atol=1e-5)
    assert teacher(past_values=x).prediction_outputs.shape == (2, HORIZON, CHANNELS)


def test_mismatches_name_both_sides_and_the_remedy():
    teacher = tiny_teacher("patchtst")
    teacher.check_fits(CONTEXT, HORIZON, CHANNELS)
    with pytest.raises(
        InputError, match=r"has context_length=48, the student and its data 96: pass .context_length=48"
    ):
        teacher.check_fits(96, HORIZON, CHANNELS)
    with pytest.raises(InputError, match=r"prediction_length=16.* 24"):
        teacher.check_fits(CONTEXT, 24, CHANNELS)
    with pytest.raises(InputError, match="trained on 3 channels, the data have 7"):
        teacher.check_fits(CONTEXT, HORIZON, 7)
    tiny_teacher("itransformer").check_fits(CONTEXT, HORIZON, 7)


def test_unknown_teachers_are_named(tmp_path):
    with pytest.raises(InputError, match="'gpt' is no teacher family known here"):
        get_family("gpt")
    with pytest.raises(InputError, match="is neither a family"):
        load_teacher(str(tmp_path / "nothing"))


def test_a_wrong_scale_warns(data, caplog):
    class Shifted(torch.nn.Module):
        def forward(self, past_values, **kwargs):
            return TeacherSignal(past_values[:, -HORIZON:] + 10)

    teacher_mse, naive_mse = teacher_against_naive(Shifted(), data.validation, 24)
    errors = [
        ((item["past_values"][-24 : -24 + HORIZON] - item["future_values"]) ** 2).mean().item()
        for item in (data.validation[index] for index in range(len(data.validation)))
    ]
    assert naive_mse == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    assert teacher_mse > 50
    warn_if_worse_than_naive(Shifted(), data.validation, 24)
    assert "may be on another scale" in caplog.text


@every_family
def test_without_its_feature_a_teacher_forecasts_the_same(name, data):
    teacher = tiny_teacher(name)
    windows = data.for_teacher(teacher.num_time_features).train
    inputs, _ = split_targets({name: value.unsqueeze(0) for name, value in windows[3].items()})
    alone = teacher.forecast_only()
    torch.testing.assert_close(alone(**inputs).prediction_outputs, teacher(**inputs).prediction_outputs)
    assert alone(**inputs).feature is None
    assert alone.num_time_features == teacher.num_time_features
    assert alone.fingerprint() != teacher.fingerprint()
    alone.check_fits(CONTEXT, HORIZON, CHANNELS)
    with pytest.raises(InputError):
        alone.check_fits(CONTEXT, HORIZON + 1, CHANNELS)
    assert alone.about() == teacher.about() == {"name": teacher.name}
    assert alone.covers("test")
    assert not alone.has_stored_signal
    assert ("past_time_features" in alone.windows(data, "test")[0]) == bool(teacher.num_time_features)
