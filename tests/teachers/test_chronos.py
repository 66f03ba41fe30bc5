"""Chronos models, tiny and untrained, as teachers. Without the package all but its absence is skipped."""

import json
import sys

import pytest
import torch

from tests.conftest import CHANNELS, CONTEXT, HORIZON
from timedistill_hf import (
    TimeDistillConfig,
    TimeDistillForPrediction,
    TimeDistillTrainer,
    TimeDistillTrainingArguments,
)
from timedistill_hf._utils.errors import InputError
from timedistill_hf.signal_store.store import store_signal
from timedistill_hf.teachers import Teacher, get_family, load_teacher, teacher_family_name
from timedistill_hf.teachers.loading import load_teacher_for
from timedistill_hf.training.teacher_training import train_teacher


QUANTILES = [level / 10 for level in range(1, 10)]
PATCHES = {"input_patch_size": 8, "input_patch_stride": 8, "quantiles": QUANTILES, "use_reg_token": True}


def bolt():
    """16 steps a pass, 40 of history at most."""
    config = get_family("chronos").config(CONTEXT, HORIZON, CHANNELS)
    config.chronos_config |= PATCHES | {"context_length": 40}
    return get_family("chronos").class_of(config)(config)


def chronos2():
    """16 steps a pass in two patches, 40 of history at most."""
    from chronos.chronos2 import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig

    own = PATCHES | {"context_length": 40, "output_patch_size": 8, "max_output_patches": 2, "use_arcsinh": True}
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = Chronos2CoreConfig(**sizes, architectures=["Chronos2Model"], chronos_config=own)
    return Chronos2Model(config)


@pytest.fixture(params=["bolt", "chronos2"])
def model(request):
    """Off its initial state, so that its forecasts are of some size."""
    pytest.importorskip("chronos")
    model = {"bolt": bolt, "chronos2": chronos2}[request.param]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.fixture
def chronos_teacher(model):
    return Teacher(model, get_family("chronos"), HORIZON)


def pipeline(model):
    import chronos

    kind = chronos.Chronos2Pipeline if type(model).__name__ == "Chronos2Model" else chronos.ChronosBoltPipeline
    return kind(model)


@pytest.mark.filterwarnings("ignore:We recommend keeping prediction length")
@pytest.mark.parametrize("steps", [5, 16, 37])
def test_it_is_the_packages_median_of_every_series_on_its_own(model, steps):
    """Within a pass and beyond it, with values missing."""
    x, mask = 3 * torch.randn(2, CONTEXT, CHANNELS) + 5, torch.rand(2, CONTEXT, CHANNELS) > 0.2
    forecast = Teacher(model, get_family("chronos"), steps)(x, mask).prediction_outputs
    assert forecast.shape == (2, steps, CHANNELS)
    assert forecast.std() > 0.1
    holes = torch.where(mask, x, torch.nan)
    for window in range(2):
        for channel in range(CHANNELS):
            series = holes[window, :, channel]
            quantiles = pipeline(model).predict([series], prediction_length=steps)[0]
            median = quantiles.reshape(9, steps)[4]
            assert torch.allclose(forecast[window, :, channel], median, atol=1e-4)


def test_the_feature_is_the_mean_state_of_the_history(model):
    x = torch.randn(2, CONTEXT, CHANNELS)
    series = x.transpose(1, 2).flatten(0, 1)
    if type(model).__name__ == "Chronos2Model":
        states = torch.cat(pipeline(model).embed(list(series))[0])[:, :-1]  # the last one is of a patch to come
    else:
        states = pipeline(model).embed(series)[0]
    teacher = Teacher(model, get_family("chronos"), 8)
    feature = teacher(past_values=x).feature
    assert feature.shape == (2, CHANNELS, 16)
    assert torch.allclose(feature.flatten(0, 1), states.mean(dim=1), atol=1e-5)
    assert torch.allclose(teacher.pooled("last")(past_values=x).feature.flatten(0, 1), states[:, -1], atol=1e-5)
    long = Teacher(model, get_family("chronos"), 37)(past_values=x).feature
    assert long.shape == feature.shape


def test_it_is_deterministic_and_draws_nothing(chronos_teacher):
    x = torch.randn(4, CONTEXT, CHANNELS)
    state = torch.get_rng_state()
    signal, again = chronos_teacher(past_values=x), chronos_teacher(past_values=x)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(signal.prediction_outputs, again.prediction_outputs)
    assert torch.equal(signal.feature, again.feature)
    assert torch.allclose(
        chronos_teacher(past_values=x[:1]).prediction_outputs, signal.prediction_outputs[:1], atol=1e-5
    )
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(chronos_teacher(past_values=x).prediction_outputs, signal.prediction_outputs, atol=1e-5)


def test_channels_are_independent_and_of_any_number(chronos_teacher):
    x = torch.randn(2, CONTEXT, 5)
    signal = chronos_teacher(past_values=x)
    alone = chronos_teacher(past_values=x[:, :, 3:4])
    assert torch.allclose(alone.prediction_outputs[..., 0], signal.prediction_outputs[..., 3], atol=1e-5)
    assert torch.allclose(alone.feature[:, 0], signal.feature[:, 3], atol=1e-5)
    chronos_teacher.check_fits(24, HORIZON, 5)


def test_what_is_missing_cannot_be_seen(chronos_teacher):
    x, mask = torch.randn(2, CONTEXT, CHANNELS), torch.rand(2, CONTEXT, CHANNELS) > 0.3
    mask[0, :, 0] = False
    one = chronos_teacher(torch.where(mask, x, torch.nan), mask)
    two = chronos_teacher(torch.where(mask, x, 99.0), mask)
    assert torch.isfinite(one.prediction_outputs).all()
    assert torch.equal(one.prediction_outputs, two.prediction_outputs)
    assert torch.equal(one.feature, two.feature)
    assert not torch.allclose(one.prediction_outputs, chronos_teacher(past_values=x).prediction_outputs, atol=1e-3)


def test_a_saved_one_is_known_by_its_config_and_teaches(model, data, tmp_path, caplog):
    caplog.set_level("INFO")
    model.save_pretrained(tmp_path / "model")
    assert json.loads((tmp_path / "model/config.json").read_text())["model_type"] == "t5"
    assert teacher_family_name(str(tmp_path / "model")) == "chronos"
    teacher = load_teacher_for(str(tmp_path / "model"), data)
    x = torch.randn(2, CONTEXT, CHANNELS)
    expected = Teacher(model, get_family("chronos"), HORIZON)
    assert torch.equal(teacher(past_values=x).prediction_outputs, expected(past_values=x).prediction_outputs)
    again = load_teacher_for(str(tmp_path / "model"), data)
    assert teacher.fingerprint() == again.fingerprint() != teacher.cut(20).fingerprint()
    assert "16 steps a pass, more are rolled out" in caplog.text

    windows = store_signal(teacher, data.train, tmp_path / "signal")
    student = TimeDistillForPrediction(TimeDistillConfig(**data.shape, hidden_size=16))
    args = TimeDistillTrainingArguments(str(tmp_path / "run"), max_steps=3, report_to="none", disable_tqdm=True)
    trainer = TimeDistillTrainer(student, args, train_dataset=windows, eval_dataset=data.validation)
    assert trainer.regressor[0].in_features == 16
    trainer.train()


def test_weights_that_lack_are_named(model, tmp_path):
    from safetensors.torch import load_file, save_file

    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    name = next(key for key in weights if key.startswith("encoder."))
    del weights[name]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=f"they lack '{name}'"):
        load_teacher(str(tmp_path))


def test_chronos_of_the_first_kind_is_refused(tmp_path):
    pytest.importorskip("chronos")
    config = get_family("chronos").config(CONTEXT, HORIZON, CHANNELS)
    config.architectures = ["T5ForConditionalGeneration"]
    config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="draws its forecasts at random: expected a Chronos-Bolt or Chronos-2"):
        load_teacher(str(tmp_path))


def test_it_is_not_trained_here(data, tmp_path):
    with pytest.raises(InputError, match=r"chronos is not trained here .* such as amazon/chronos-bolt-small"):
        train_teacher("chronos", data, tmp_path)


def test_without_the_package_its_install_command_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "chronos", None)
    get_family("chronos").config(CONTEXT, HORIZON, CHANNELS).save_pretrained(tmp_path)
    with pytest.raises(
        InputError, match=r"needs the package chronos-forecasting .*: pip install 'chronos-forecasting>"
    ) as found:
        load_teacher(str(tmp_path))
    assert "\n" not in str(found.value)
