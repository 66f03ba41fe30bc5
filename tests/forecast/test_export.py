import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.conftest import CONTEXT, HORIZON
from tests.forecast.tables import save, trained_on, wide
from tests.scripts_helper import fails, run
from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction, fuse
from timedistill_hf.errors import InputError
from timedistill_hf.export import InUnits, _check, export_onnx


onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def forecast(path, values: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["prediction_outputs"], {"past_values": values.astype(np.float32)})[0]


@pytest.fixture(scope="module")
def shifted():
    """A student of data far from zero."""
    frame = wide()
    frame[["a", "b", "c"]] = frame[["a", "b", "c"]] * [1, 100, 0.01] + [500, -3, 0]
    return frame, trained_on(frame)


def test_the_graph_forecasts_in_the_datas_units(shifted, tmp_path):
    frame, forecaster = shifted
    path = export_onnx(forecaster.model, forecaster.processor, tmp_path / "student.onnx")
    values = frame[["a", "b", "c"]].to_numpy()
    windows = np.stack([values[:CONTEXT], values[40 : 40 + CONTEXT], values[-CONTEXT:], values[9 : 9 + CONTEXT]])
    np.testing.assert_allclose(forecast(path, windows), forecaster.predict(windows), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(forecast(path, windows[:1]), forecaster.predict(windows[:1]), rtol=1e-4, atol=1e-4)


def test_what_the_graph_tells_of_itself(shifted, tmp_path):
    _, forecaster = shifted
    path = export_onnx(forecaster.model, forecaster.processor, tmp_path / "student.onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key.removeprefix("timedistill."): json.loads(entry.value) for entry in model.metadata_props}
    processor = forecaster.processor
    assert facts == {
        "units": "data",
        "columns": ["a", "b", "c"],
        "context_length": CONTEXT,
        "prediction_length": HORIZON,
        "freq": "h",
        "mean": processor.mean,
        "std": processor.std,
    }
    (given,), (gives,) = model.graph.input, model.graph.output
    assert [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim] == ["batch", CONTEXT, 3]
    assert [dim.dim_param or dim.dim_value for dim in gives.type.tensor_type.shape.dim] == ["batch", HORIZON, 3]


@pytest.mark.parametrize("normalization", ["mean", "revin"])
def test_a_student_that_is_not_bound_takes_any_number_of_channels(shifted, tmp_path, normalization):
    _, forecaster = shifted
    config = TimeDistillConfig(
        context_length=CONTEXT,
        prediction_length=HORIZON,
        num_input_channels=None,
        hidden_size=8,
        hidden_norm="layernorm",
        normalization=normalization,
        revin_affine=False,
    )
    model = TimeDistillForPrediction(config).eval()
    path = export_onnx(model, forecaster.processor, tmp_path / "any.onnx", units="standardized")
    for shape in [(1, CONTEXT, 1), (5, CONTEXT, 11)]:
        x = torch.randn(shape)
        with torch.no_grad():
            expected = copy.deepcopy(model).double()(x.double()).prediction_outputs.numpy()
        np.testing.assert_allclose(forecast(path, x.numpy()), expected, rtol=1e-4, atol=1e-5)


def test_a_graph_that_does_not_forecast_as_the_student_is_not_kept(shifted, tmp_path, monkeypatch):
    _, forecaster = shifted
    monkeypatch.setattr("timedistill_hf.export.SAME", -1.0)
    with pytest.raises(InputError, match="the ONNX graph differs from the student by"):
        export_onnx(forecaster.model, forecaster.processor, tmp_path / "student.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_small_channel_counts_as_much_as_a_large_one(shifted, tmp_path):
    _, forecaster = shifted
    path = export_onnx(forecaster.model, forecaster.processor, tmp_path / "student.onnx")
    other = InUnits(fuse(forecaster.model), forecaster.processor)
    _check(path, other, forecaster.processor, "data")
    other.std[2] *= 1.01  # of data of size .01: a difference of far less than one ten-thousandth
    with pytest.raises(InputError, match="the ONNX graph differs from the student by up to"):
        _check(path, other, forecaster.processor, "data")


def test_the_scaler_by_hand():
    processor = trained_on(wide()).processor
    module = InUnits(lambda x: type("Output", (), {"prediction_outputs": 2 * x[:, :HORIZON]}), processor)
    x = torch.rand(2, CONTEXT, 3)
    mean, std = torch.tensor(processor.mean), torch.tensor(processor.std)
    torch.testing.assert_close(module(x), 2 * (x[:, :HORIZON] - mean) + mean)
    assert (std != 1).any()


def test_what_cannot_be_exported(shifted, tmp_path):
    _, forecaster = shifted
    with pytest.raises(InputError, match="Linear is no student of this package"):
        export_onnx(torch.nn.Linear(2, 2), forecaster.processor, tmp_path / "x.onnx")
    with pytest.raises(InputError, match="units='raw': expected 'data' or 'standardized'"):
        export_onnx(forecaster.model, forecaster.processor, tmp_path / "x.onnx", units="raw")


def test_packages_that_are_missing_are_named(shifted, tmp_path, monkeypatch):
    _, forecaster = shifted
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="onnxruntime: pip install onnx onnxscript onnxruntime"):
        export_onnx(forecaster.model, forecaster.processor, tmp_path / "x.onnx")


def test_the_script(shifted, tmp_path, monkeypatch, capsys):
    frame, forecaster = shifted
    folder, output = save(forecaster, tmp_path / "model"), tmp_path / "student.onnx"
    run(monkeypatch, "export.py", "--model", folder, "--output", output)
    assert f"past_values [batch, {CONTEXT}, channels]" in capsys.readouterr().out
    window = frame[["a", "b", "c"]].to_numpy()[None, -CONTEXT:]
    np.testing.assert_allclose(forecast(output, window), forecaster.predict(window), rtol=1e-4, atol=1e-4)
    line = fails(monkeypatch, capsys, "export.py", "--model", folder, "--output", output)
    assert "pass --overwrite" in line
    line = fails(monkeypatch, capsys, "export.py", "--model", folder, "--output", tmp_path / "student.pt")
    assert "expected a name that ends in .onnx" in line


def test_the_graph_needs_nothing_but_onnxruntime(shifted, tmp_path):
    _, forecaster = shifted
    path = export_onnx(forecaster.model, forecaster.processor, tmp_path / "student.onnx")
    code = (
        "import sys, numpy, onnxruntime; "
        f"s = onnxruntime.InferenceSession({str(path)!r}); "
        f"print(s.run(None, {{'past_values': numpy.zeros((2, {CONTEXT}, 3), 'float32')}})[0].shape); "
        "assert not {'torch', 'transformers', 'timedistill_hf'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == f"(2, {HORIZON}, 3)", done.stderr
