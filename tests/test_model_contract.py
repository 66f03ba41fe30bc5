"""What all of this package's own forecasters promise; what is each one's own stands in its test file."""

import pytest
import torch
from transformers import AutoModelForTimeSeriesPrediction, PreTrainedModel

from tests import test_itransformer, test_light_ts, test_modern_tcn, test_time_mixer, test_timesnet


TINY = {
    "itransformer": test_itransformer.tiny,
    "light_ts": test_light_ts.tiny,
    "modern_tcn": test_modern_tcn.tiny,
    "time_mixer": test_time_mixer.tiny,
    "timesnet": test_timesnet.tiny,
}
C = 3
every_model = pytest.mark.parametrize("name", sorted(TINY))


def past(model: PreTrainedModel, windows: int) -> torch.Tensor:
    return 3 * torch.randn(windows, model.config.context_length, C) + 2


def future(model: PreTrainedModel, windows: int) -> torch.Tensor:
    return torch.randn(windows, model.config.prediction_length, C)


@every_model
def test_a_window_sees_neither_the_others_nor_the_future(name):
    model = TINY[name]()
    x = past(model, 4)
    together, alone = model(past_values=x), model(past_values=x[2:3])
    for field in {"prediction_outputs", "feature", "last_hidden_state"} & set(together):
        assert torch.allclose(alone[field], together[field][2:3], atol=1e-5), field
    told = model(past_values=x, future_values=future(model, 4))
    assert torch.equal(told.prediction_outputs, together.prediction_outputs)


@every_model
def test_what_is_missing_cannot_be_seen(name):
    model = TINY[name]()
    x = past(model, 2)
    mask = torch.rand(x.shape) > 0.3
    first = model(past_values=torch.where(mask, x, torch.nan), past_observed_mask=mask)
    again = model(past_values=torch.where(mask, x, 0.0), past_observed_mask=mask.float())
    assert torch.isfinite(first.prediction_outputs).all()
    assert torch.equal(first.prediction_outputs, again.prediction_outputs)
    mean = (x * mask).sum(dim=1) / mask.sum(dim=1)
    assert torch.allclose(first.loc[:, 0], mean, atol=1e-5)
    unscaled = TINY[name](scaling=None)
    filled = torch.where(mask, x, mean.unsqueeze(1))
    assert torch.allclose(
        unscaled(past_values=x, past_observed_mask=mask).prediction_outputs,
        unscaled(past_values=filled).prediction_outputs,
        atol=1e-4,
    )


@every_model
def test_loss_and_round_trip(name, tmp_path):
    model = TINY[name](loss="mae")
    x, y = past(model, 2), future(model, 2)
    output = model(past_values=x, future_values=y)
    error = output.prediction_outputs - y
    assert output.loss.item() == pytest.approx(error.abs().mean().item())
    observed = torch.rand(y.shape) > 0.4
    masked = model(past_values=x, future_values=torch.where(observed, y, 0.0), future_observed_mask=observed).loss
    assert masked.item() == pytest.approx(error[observed].abs().mean().item())
    model.config.loss = "mse"
    assert model(past_values=x, future_values=y).loss.item() == pytest.approx(error.square().mean().item())
    model.save_pretrained(tmp_path)
    loaded = AutoModelForTimeSeriesPrediction.from_pretrained(tmp_path)
    assert torch.equal(loaded(past_values=x).prediction_outputs, output.prediction_outputs)
    code = {path.name for path in tmp_path.glob("*.py")}
    parts = ("configuration", "modeling")
    assert code == {f"{part}_{what}.py" for part in parts for what in (name, "forecaster")}


@every_model
def test_training_reaches_every_parameter(name):
    model = TINY[name]().train()
    model(past_values=past(model, 8), future_values=future(model, 8)).loss.backward()
    gradients = {key: parameter.grad.abs().max().item() for key, parameter in model.named_parameters()}
    # what ModernTCN's next normalisation, or the softmax of iTransformer's attention, takes out again
    without = {key for key in gradients if key == "stem.bias" or key.endswith("k_proj.bias")}
    for key, gradient in gradients.items():
        assert (gradient > (1e-4 if name == "modern_tcn" else 1e-6)) == (key not in without), key


@every_model
def test_half_precision(name):
    model = TINY[name]()
    x = past(model, 4)
    single = model(past_values=x).prediction_outputs
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(past_values=x).prediction_outputs
    half = model.to(torch.bfloat16)(past_values=x.to(torch.bfloat16)).prediction_outputs
    assert half.dtype == torch.bfloat16
    for other in (mixed, half):
        assert (other.float() - single).abs().mean() < 0.05 * single.abs().mean()


@every_model
def test_windows_of_another_shape_are_named(name):
    model = TINY[name]()
    steps = model.config.context_length
    with pytest.raises(ValueError, match=rf"has {steps - 1} steps of 3 channels: this \w+ expects {steps} steps"):
        model(past_values=torch.randn(1, steps - 1, C))
    if model.config.is_channel_bound:
        with pytest.raises(ValueError, match=f"has {steps} steps of 2 channels: .* expects {steps} steps of 3"):
            model(past_values=torch.randn(1, steps, 2))
