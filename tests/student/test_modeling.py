import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModel, AutoModelForTimeSeriesPrediction

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.student.modeling_timedistill import forecast_loss
from timedistill_hf.student.normalization_timedistill import fill_missing
from timedistill_hf.student.published import from_published_state_dict


def plain_two_branch(weights: dict, x: np.ndarray, kernel: int, training: bool) -> tuple[np.ndarray, np.ndarray]:
    """The student of spec steps 1 to 6 with loops, in float64: forecast [B, S, C] and feature [B, C, D]."""
    size, length, channels = x.shape
    centred, means = np.empty_like(x), np.empty((size, channels))
    for b in range(size):
        for c in range(channels):
            means[b, c] = sum(x[b, :, c]) / length
            centred[b, :, c] = x[b, :, c] - means[b, c]
    margin = (kernel - 1) // 2
    trend = np.empty_like(x)
    for t in range(length):
        positions = [min(max(t + k, 0), length - 1) for k in range(-margin, margin + 1)]
        trend[:, t] = sum(centred[:, position] for position in positions) / kernel
    output, feature = 0.0, 0.0
    for name, part in (("seasonal", centred - trend), ("trend", trend)):
        branch = {key.split(f"{name}.")[1]: value for key, value in weights.items() if f".{name}." in key}
        hidden = np.stack([part[b].T @ branch["encoder.weight"].T + branch["encoder.bias"] for b in range(size)])
        feature = feature + hidden
        normed = np.empty_like(hidden)
        for c in range(channels):
            mean, variance = branch["norm.running_mean"][c], branch["norm.running_var"][c]
            if training:
                mean, variance = hidden[:, c].mean(), hidden[:, c].var()
            normed[:, c] = (hidden[:, c] - mean) / np.sqrt(variance + 1e-5)
            normed[:, c] = normed[:, c] * branch["norm.weight"][c] + branch["norm.bias"][c]
        output = output + np.maximum(normed, 0) @ branch["decoder.weight"].T + branch["decoder.bias"]
    return output.transpose(0, 2, 1) + means[:, None, :], feature


def randomized(model):
    """Random norms, statistics and linear maps, so that every weight matters."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name and tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.5)
            elif "projection" in name:
                tensor.copy_(0.2 * torch.randn_like(tensor))
    return model


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kernel", [1, 5, 25])
def test_two_branch_agrees_with_plain_loops(training, kernel):
    config = TimeDistillConfig(
        context_length=30, prediction_length=7, num_input_channels=3, hidden_size=11, moving_average=kernel
    )
    model = randomized(TimeDistillForPrediction(config)).train(training)
    weights = {name: tensor.double().numpy().copy() for name, tensor in model.state_dict().items()}
    x = torch.randn(5, 30, 3) * 2 + 4
    output = model(past_values=x)
    expected, feature = plain_two_branch(weights, x.double().numpy(), kernel, training)
    np.testing.assert_allclose(output.prediction_outputs.detach().numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(output.feature.detach().numpy(), feature, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "parameters"), [("two_branch", 836_828), ("mlp", 418_414), ("linear", 69_216)]
)
def test_published_sizes(architecture, parameters):
    config = TimeDistillConfig(num_input_channels=7, architecture=architecture)
    assert TimeDistillForPrediction(config).num_parameters() == parameters


def test_linear_is_one_affine_map_of_the_centred_window():
    config = TimeDistillConfig(context_length=12, prediction_length=5, architecture="linear", num_input_channels=2)
    model = TimeDistillForPrediction(config)
    x = torch.randn(3, 12, 2)
    start = model(past_values=x).prediction_outputs
    torch.testing.assert_close(start, x.mean(dim=1, keepdim=True).expand(3, 5, 2))
    model = randomized(model)
    mean = x.mean(dim=1, keepdim=True)
    layer = model.backbone.projection
    expected = torch.einsum("blc,sl->bsc", x - mean, layer.weight) + layer.bias[:, None] + mean
    output = model(past_values=x)
    assert torch.allclose(output.prediction_outputs, expected, atol=1e-6)
    assert output.feature is None


@pytest.mark.parametrize("normalization", ["none", "mean", "revin", "last"])
def test_normalisation_statistics(normalization):
    config = TimeDistillConfig(
        context_length=12,
        prediction_length=5,
        architecture="linear",
        num_input_channels=2,
        normalization=normalization,
    )
    model = randomized(TimeDistillForPrediction(config))
    x = torch.randn(3, 12, 2) * 3 + 7
    values = x.double().numpy()
    loc, scale, weight, bias = np.zeros((3, 1, 2)), np.ones((3, 1, 2)), np.ones(2), np.zeros(2)
    if normalization == "last":
        loc = values[:, -1:]
    elif normalization != "none":
        loc = values.mean(axis=1, keepdims=True)
    if normalization == "revin":
        scale = np.sqrt(values.var(axis=1, keepdims=True) + 1e-5)
        weight, bias = (getattr(model.normalization, name).detach().double().numpy() for name in ("weight", "bias"))
    layer = model.backbone.projection
    hidden = np.einsum("blc,sl->bsc", (values - loc) / scale * weight + bias, layer.weight.detach().double().numpy())
    hidden = hidden + layer.bias.detach().double().numpy()[:, None]
    expected = (hidden - bias) / (weight + 1e-10) * scale + loc
    output = model(past_values=x)
    np.testing.assert_allclose(output.prediction_outputs.detach().numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(output.loc.detach().numpy(), loc, atol=1e-5)
    np.testing.assert_allclose(output.scale.detach().numpy(), scale, atol=1e-5)


def published_state_dict(two_branch: bool) -> dict[str, torch.Tensor]:
    """The published implementation's names, with L=24, S=6, D=10, C=3."""
    layers = {"Linear_Seasonal.0": (10, 24), "Linear_Seasonal.2": (6, 10)}
    if two_branch:
        layers |= {"Linear_Trend.0": (10, 24), "Linear_Trend.2": (6, 10)}
    state = {"revin_layer.affine_weight": torch.rand(3) + 0.5, "revin_layer.affine_bias": torch.rand(3)}
    for name, shape in layers.items():
        state |= {f"{name}.weight": torch.randn(shape), f"{name}.bias": torch.randn(shape[0])}
    for name in ("bn1", "bn2") if two_branch else ("bn1",):
        state |= {f"{name}.{part}": torch.rand(3) + 0.5 for part in ("weight", "bias", "running_mean", "running_var")}
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)
    return state


@pytest.mark.parametrize("normalization", ["mean", "revin"])
@pytest.mark.parametrize("two_branch", [True, False])
def test_published_weights_map_one_to_one(two_branch, normalization):
    state = published_state_dict(two_branch)
    model = from_published_state_dict(state, normalization=normalization, moving_average=5)
    mapped = sum(tensor.numel() for tensor in model.state_dict().values())
    unused = 0 if normalization == "revin" else 6
    assert mapped == sum(tensor.numel() for tensor in state.values()) - unused
    prefix = "backbone.seasonal" if two_branch else "backbone"
    assert torch.equal(model.state_dict()[f"{prefix}.encoder.weight"], state["Linear_Seasonal.0.weight"])
    assert torch.equal(model.state_dict()[f"{prefix}.norm.running_var"], state["bn1.running_var"])
    if two_branch and normalization == "mean":
        x = torch.randn(4, 24, 3)
        weights = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
        expected, _ = plain_two_branch(weights, x.double().numpy(), 5, training=False)
        np.testing.assert_allclose(model(past_values=x).prediction_outputs.detach().numpy(), expected, atol=1e-4)


def test_weights_of_another_model_are_refused():
    with pytest.raises(ValueError, match=r"'encoder\.weight' is no weight of the published"):
        from_published_state_dict(published_state_dict(True) | {"encoder.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="lacks"):
        from_published_state_dict({"revin_layer.affine_bias": torch.zeros(3)})


@settings(max_examples=80, deadline=None)
@given(length=st.integers(1, 30), seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_missing_steps_are_interpolated_like_numpy(length, seed, share):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, length, 3)).astype(np.float32)
    observed = rng.uniform(size=values.shape) >= share
    filled = fill_missing(
        torch.from_numpy(np.where(observed, values, np.nan).astype(np.float32)), torch.from_numpy(observed)
    ).numpy()
    for b in range(2):
        for c in range(3):
            known = np.flatnonzero(observed[b, :, c])
            expected = np.zeros(length)
            if len(known):
                expected = np.interp(np.arange(length), known, values[b, known, c])
            np.testing.assert_allclose(filled[b, :, c], expected, atol=1e-5)


def test_the_mask_hides_what_is_missing(student):
    student.eval()
    x = torch.randn(2, 48, 3)
    mask = torch.ones_like(x)
    mask[0, 10:20, 1] = 0
    spoiled = torch.where(mask.bool(), x, torch.full_like(x, torch.nan))
    zeroed = torch.where(mask.bool(), x, torch.zeros_like(x))
    first = student(past_values=spoiled, past_observed_mask=mask).prediction_outputs
    assert torch.isfinite(first).all()
    assert torch.equal(first, student(past_values=zeroed, past_observed_mask=mask.bool()).prediction_outputs)
    full = student(past_values=x).prediction_outputs
    torch.testing.assert_close(full, student(past_values=x, past_observed_mask=torch.ones_like(x)).prediction_outputs)
    assert not torch.allclose(full[0], first[0], atol=1e-3)


@pytest.mark.parametrize("hidden_norm", ["layernorm", "none"])
def test_the_channel_free_form_runs_on_any_number_of_channels(hidden_norm):
    config = TimeDistillConfig(
        context_length=48, prediction_length=16, hidden_size=8, num_input_channels=None, hidden_norm=hidden_norm
    )
    model = TimeDistillForPrediction(config).eval()
    assert not any(isinstance(module, torch.nn.BatchNorm1d) for module in model.modules())
    x = torch.randn(2, 48, 5)
    together = model(past_values=x).prediction_outputs
    for channel in range(5):
        alone = model(past_values=x[:, :, channel : channel + 1]).prediction_outputs
        assert torch.allclose(together[:, :, channel : channel + 1], alone, atol=1e-6)


def test_a_bound_student_names_both_channel_counts(student):
    with pytest.raises(ValueError, match="has 5 channels, this student was built for 3"):
        student(past_values=torch.randn(2, 48, 5))
    with pytest.raises(ValueError, match=r"expected \[batch, 48, channels\]"):
        student(past_values=torch.randn(2, 47, 3))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"context_length": 0}, "context_length=0"),
        ({"moving_average": 24}, "odd positive"),
        ({"num_input_channels": None}, "need a fixed number of channels"),
        ({"num_input_channels": 0}, "num_input_channels=0"),
        ({"architecture": "cnn"}, "architecture"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"num_input_channels": None, "hidden_norm": "none", "normalization": "revin"}, "RevIN affine"),
    ],
)
def test_bad_configurations_are_refused(setting, message):
    with pytest.raises(Exception, match=message):
        TimeDistillConfig(**setting)


def test_loss_by_hand_with_and_without_mask(student):
    x, y = torch.randn(4, 48, 3), torch.randn(4, 16, 3)
    observed = torch.rand(4, 16, 3) > 0.4
    output = student.eval()(past_values=x, future_values=y)
    assert output.loss.item() == pytest.approx((output.prediction_outputs - y).square().mean().item(), rel=1e-6)
    spoiled = torch.where(observed, y, torch.nan)
    masked = student(past_values=x, future_values=spoiled, future_observed_mask=observed).loss
    assert masked.item() == pytest.approx((output.prediction_outputs - y)[observed].square().mean().item(), rel=1e-6)
    absolute = forecast_loss(output.prediction_outputs, y, kind="mae")
    assert absolute.item() == pytest.approx((output.prediction_outputs - y).abs().mean().item(), rel=1e-6)


def test_bf16_weights_keep_the_input_dtype_outside(student):
    x = torch.randn(2, 48, 3)
    expected = student.eval()(past_values=x).prediction_outputs
    output = student.to(torch.bfloat16)(past_values=x).prediction_outputs
    assert output.dtype == torch.float32
    assert torch.allclose(output, expected, atol=0.05)


@pytest.mark.parametrize("architecture", ["two_branch", "mlp", "linear"])
def test_save_and_load_is_bit_identical(tmp_path, architecture):
    config = TimeDistillConfig(
        context_length=48, prediction_length=16, num_input_channels=3, hidden_size=8, architecture=architecture
    )
    model = randomized(TimeDistillForPrediction(config)).eval()
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    assert not list(tmp_path.glob("*.bin"))
    x = torch.randn(2, 48, 3)
    for auto in (AutoModelForTimeSeriesPrediction, AutoModel):
        loaded = auto.from_pretrained(tmp_path)
        assert type(loaded) is TimeDistillForPrediction
        assert torch.equal(loaded(past_values=x).prediction_outputs, model(past_values=x).prediction_outputs)
    saved, original = AutoConfig.from_pretrained(tmp_path).to_dict(), model.config.to_dict()
    assert {**saved, "_name_or_path": ""} == original


def test_tuple_output(student):
    x, y = torch.randn(2, 48, 3), torch.randn(2, 16, 3)
    output = student.eval()(past_values=x, future_values=y)
    as_tuple = student(past_values=x, future_values=y, return_dict=False)
    assert len(as_tuple) == 5
    assert all(torch.equal(a, b) for a, b in zip(as_tuple, output.to_tuple(), strict=True))
