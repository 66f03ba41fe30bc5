import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import CONTEXT, HORIZON
from tests.forecast.tables import by_hand, save, trained_on, wide
from tests.scripts_helper import fails, run
from tests.student.models import LENGTHS, combination, tiny
from timedistill_hf import Forecaster, TimeDistillProcessor, fuse
from timedistill_hf._utils.errors import InputError
from timedistill_hf.forecasting.onnx import _check, export_onnx


onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

BATCHES = (0, 1, 7, 33)
LEVELS = ("none", "mean", "last", "revin")
FORMS = ("two_branch", "mlp", "patch_mixer", "linear", "periodic", "cycle", "residual")
BOUND = {"num_input_channels": 3, "hidden_norm": "batchnorm", "revin_affine": True}
# every architecture and every level at least once, in one export
OF_ALL = [
    {"architecture": architecture, "normalization": level}
    for architecture, level in zip(FORMS, ["mean", "none", "revin", "last", "mean", "last", "revin"], strict=True)
]


def forecast(path, values: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    dtype = {"tensor(double)": np.float64, "tensor(float)": np.float32}[given.type]
    return session.run(["prediction_outputs"], {"past_values": values.astype(dtype)})[0]


def expected(forecaster, windows: np.ndarray) -> np.ndarray:
    """The student itself on windows that numpy has filled and scaled, NaN for a channel without a value."""
    empty = np.isnan(windows).all(axis=1)
    filled = np.where(empty[:, None], 0.0, windows)
    forecasts = [by_hand(forecaster, window) for window in filled]
    horizon = forecaster.processor.prediction_length
    return np.where(empty[:, None], np.nan, np.reshape(forecasts, (len(windows), horizon, windows.shape[2])))


def check(path, forecaster, windows: np.ndarray) -> None:
    """To a ten-thousandth of each channel's deviation."""
    std = np.array(forecaster.processor.std)
    np.testing.assert_allclose(forecast(path, windows) / std, expected(forecaster, windows) / std, rtol=0, atol=1e-4)


def with_gaps(windows: np.ndarray) -> np.ndarray:
    """Of each kind: none, one step, the first, the last, all but one, a channel, at random."""
    windows, generator = windows.copy(), np.random.default_rng(1)
    windows[1, 5, 0] = np.nan
    windows[2, :9, 1] = np.nan
    windows[3, -9:, 2] = np.nan
    windows[4, np.arange(windows.shape[1]) != 7] = np.nan
    windows[5, :, 1] = np.nan
    windows[6][generator.uniform(size=windows[6].shape) < 0.5] = np.nan
    return windows


def windows_of(frame, count: int, length: int = CONTEXT) -> np.ndarray:
    values = frame[["a", "b", "c"]].to_numpy()
    return np.reshape([values[3 * start : 3 * start + length] for start in range(count)], (count, length, 3))


@pytest.fixture(scope="module")
def shifted():
    """A student of data far from zero."""
    frame = wide()
    frame[["a", "b", "c"]] = frame[["a", "b", "c"]] * [1, 100, 0.01] + [500, -3, 0]
    return frame, trained_on(frame)


@pytest.fixture(scope="module")
def graph(shifted, tmp_path_factory):
    """Of that student, in the data's units."""
    _, forecaster = shifted
    return export_onnx(forecaster.model, forecaster.processor, tmp_path_factory.mktemp("graph") / "student.onnx")


@pytest.mark.parametrize("batch", BATCHES)
def test_the_graph_forecasts_in_the_datas_units(shifted, graph, batch):
    frame, forecaster = shifted
    check(graph, forecaster, windows_of(frame, batch))


@pytest.mark.parametrize("batch", [7, 33])
def test_it_fills_what_is_missing_as_the_student_does(shifted, graph, batch):
    frame, forecaster = shifted
    windows = with_gaps(windows_of(frame, batch))
    check(graph, forecaster, windows)
    found = forecast(graph, windows)
    assert np.isnan(found[5, :, 1]).all()
    assert np.isnan(found).sum() == HORIZON  # no other window or channel has caught it
    for index in range(7):  # and a window alone is forecast as among others
        np.testing.assert_allclose(forecast(graph, windows[[index]])[0], found[index], rtol=1e-6)


def test_what_the_graph_tells_of_itself(shifted, graph):
    processor = shifted[1].processor
    model = onnx.load(graph)
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key.removeprefix("timedistill."): json.loads(entry.value) for entry in model.metadata_props}
    assert facts == {
        "units": "data",
        "columns": ["a", "b", "c"],
        "context_length": CONTEXT,
        "prediction_length": HORIZON,
        "freq": "h",
        "mean": processor.mean,
        "std": processor.std,
        "constant_columns": [],
        "missing_values": [],
    }
    (given,), (gives,) = model.graph.input, model.graph.output
    assert [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim] == ["batch", CONTEXT, 3]
    assert [dim.dim_param or dim.dim_value for dim in gives.type.tensor_type.shape.dim] == ["batch", HORIZON, 3]
    assert {value.type.tensor_type.elem_type for value in (given, gives)} == {onnx.TensorProto.DOUBLE}


def test_no_product_reads_windows_across(graph, tmp_path):
    """Which took 2.3 times as long: onnxruntime would put a transposition that a product follows into it."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    assert sum(node.op_type in ("MatMul", "Gemm", "FusedGemm") for node in nodes) == 2
    assert not [node.name for node in nodes if node.op_type == "FusedMatMul"]
    # filling is in the branch that whole windows do not enter
    assert [node.op_type for node in nodes].count("If") == 1
    assert not {"GatherElements", "ScatterElements", "CumSum"} & {node.op_type for node in nodes}


def of_form(model) -> Forecaster:
    processor = TimeDistillProcessor(["a", "b", "c"], [5e3, 0.0, -2.0], [3.0, 1.0, 1e-3], **LENGTHS)
    return Forecaster(model, processor)


def check_form(model, path, units: str) -> None:
    """With and without gaps, at every batch size; of one that is free of the channel count at several, too."""
    forecaster = of_form(model)
    export_onnx(model, forecaster.processor, path, units=units)
    is_free = units == "standardized" and not model.config.is_channel_bound
    if units == "standardized":
        forecaster.processor.mean, forecaster.processor.std = [0.0] * 3, [1.0] * 3
    generator = np.random.default_rng(0)
    for batch in BATCHES:
        x = generator.normal(size=(batch, 29, 3)) * forecaster.processor.std + forecaster.processor.mean
        for windows in (x, with_gaps(x)) if batch >= 7 else (x,):
            check(path, forecaster, windows)
            if is_free:
                for channels in ([0, 1, 2] * 4, [1]):
                    found = forecast(path, windows[..., channels])
                    np.testing.assert_allclose(found, forecast(path, windows)[..., channels], atol=1e-4)


def test_every_architecture_and_normalization(shifted, tmp_path):
    bound = shifted[1]  # exported before, which must not fix the number of channels of the next
    export_onnx(bound.model, bound.processor, tmp_path / "bound.onnx", units="standardized")
    model = combination(OF_ALL, [0.3, -0.2, 0.4, 0.1, 0.2, 0.1, 0.1])
    check_form(model, tmp_path / "student.onnx", "standardized")


def test_a_student_that_is_bound_to_its_channels(tmp_path):
    check_form(tiny("mlp", normalization="revin", **BOUND), tmp_path / "student.onnx", "data")


@pytest.mark.slow
@pytest.mark.parametrize("bound", [BOUND, {}])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("architecture", FORMS)
def test_each_form_alone(tmp_path, architecture, level, bound):
    model = tiny(**bound | {"architecture": architecture, "normalization": level})
    check_form(model, tmp_path / "student.onnx", "data" if bound else "standardized")


def test_high_levels_codes_that_mean_missing_and_constant_channels(tmp_path):
    """A level costs no digits, of training or not; a code is compared in full precision; what is flat stays flat."""
    forecaster, levels, codes = of_form(tiny("linear", normalization="mean")), [2e8, 7.0, -1e10], [-9999.9, 1e30]
    windows = with_gaps(np.random.default_rng(0).normal(size=(9, 29, 3)))
    moved = TimeDistillProcessor(
        ["a", "b", "c"], levels, [1.0] * 3, **LENGTHS, missing_value=codes, constant_columns=["b"]
    )
    path = export_onnx(forecaster.model, moved, tmp_path / "student.onnx")
    given = np.where(np.isnan(windows), np.where(np.arange(3) == 1, *codes), windows + levels)
    given[6] = windows[6] + levels
    given[7, :, 1] = 0.1
    forecaster.processor.mean, forecaster.processor.std = [0.0] * 3, [1.0] * 3
    found, trained = forecast(path, given) - levels, [0, 2]
    np.testing.assert_allclose(found[..., trained], expected(forecaster, windows)[..., trained], rtol=0, atol=1e-4)
    # a channel that was constant in training: by mean and deviation of its window
    own_mean, own_std = (of(windows[8, :, 1]) for of in (np.mean, np.std))
    scaled = expected(forecaster, (windows[[8]] - own_mean) / own_std)[0, :, 1]
    np.testing.assert_allclose(found[8, :, 1], scaled * own_std + own_mean, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found[7, :, 1] + levels[1], 0.1, rtol=1e-12)
    far = forecast(path, given[[0, 8]] + 1e9) - 1e9 - levels  # where no window of training was
    np.testing.assert_allclose(far[..., trained], found[[0, 8]][..., trained], rtol=0, atol=1e-3)
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(facts["timedistill.missing_values"]) == codes


def test_a_graph_that_does_not_fill_is_not_kept(shifted, tmp_path, monkeypatch):
    _, forecaster = shifted
    monkeypatch.setattr("timedistill_hf.forecasting.onnx._fill_where_missing", lambda values: values)
    with pytest.raises(InputError, match="the ONNX graph gives no forecast where the student does"):
        export_onnx(forecaster.model, forecaster.processor, tmp_path / "student.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_small_channel_counts_as_much_as_a_large_one(shifted, graph):
    _, forecaster = shifted
    fused, processor = fuse(forecaster.model), forecaster.processor
    _check(graph, fused, processor, "data", [3])
    std = [*processor.std[:2], 1.01 * processor.std[2]]  # of data of size .01: a difference of a ten-thousandth
    other = TimeDistillProcessor(["a", "b", "c"], processor.mean, std, CONTEXT, HORIZON)
    with pytest.raises(InputError, match="the ONNX graph differs from the student by up to"):
        _check(graph, fused, other, "data", [3])


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


def test_the_document_is_right(graph, monkeypatch):
    """Its snippet runs, and it names every entry of the metadata."""
    document = (Path(__file__).resolve().parents[2] / "docs/onnx.md").read_text(encoding="utf-8")
    monkeypatch.chdir(graph.parent)
    (snippet,) = document.split("```python\n")[1:]
    exec(snippet.split("```")[0], {})
    said = document.split("Metadata (")[1].split("\n\n")[0]
    for entry in onnx.load(graph).metadata_props:
        assert f"`{entry.key.removeprefix('timedistill.')}`" in said


def test_the_graph_needs_nothing_but_onnxruntime(graph, tmp_path):
    code = (
        "import sys, numpy, onnxruntime; "
        f"s = onnxruntime.InferenceSession({str(graph)!r}); "
        f"print(s.run(None, {{'past_values': numpy.zeros((2, {CONTEXT}, 3))}})[0].shape); "
        "assert not {'torch', 'transformers', 'timedistill_hf'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == f"(2, {HORIZON}, 3)", done.stderr
