"""Saved models in another process that does not have the package: the code beside the weights is enough."""

import shutil
import subprocess
import sys

import torch

from tests.cards.helper import TINY
from tests.conftest import CHANNELS, CONTEXT, tiny_time_mixer, tiny_timesnet
from tests.student.models import combination
from timedistill_hf import LightTSConfig, LightTSForPrediction, TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.hub.publishing import files_to_publish


HIDE = """
import importlib.abc
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "timedistill_hf":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
"""
LOAD = """
import torch
from transformers import AutoModelForTimeSeriesPrediction
for name, x in torch.load("x.pt", weights_only=True).items():
    model = AutoModelForTimeSeriesPrediction.from_pretrained(name, trust_remote_code=True).eval()
    torch.save(model(past_values=x).prediction_outputs.detach(), name + ".pt")
assert "timedistill_hf" not in sys.modules
"""


def students() -> dict[str, TimeDistillForPrediction]:
    """The published form, and a combination of all."""
    config = TimeDistillConfig(context_length=48, prediction_length=16, num_input_channels=3, hidden_size=8)
    members = [{"architecture": name} for name in ("two_branch", "mlp", "linear", "periodic", "cycle", "residual")]
    return {
        "published": TimeDistillForPrediction(config),
        "all": combination(members, [0.1, 0.2, 0.3, 0.4, -0.1, 0.1]),
    }


def test_they_forecast_the_same_without_the_package(tmp_path):
    """Students, teachers of this package, and what publishing would make of the example."""
    light_ts = LightTSConfig(context_length=CONTEXT, prediction_length=4, num_input_channels=CHANNELS, d_model=8)
    models = students() | {
        "timesnet": tiny_timesnet(), "time_mixer": tiny_time_mixer(), "light_ts": LightTSForPrediction(light_ts),
    }  # fmt: skip
    for name, model in models.items():
        model.eval().save_pretrained(tmp_path / name)
    (tmp_path / "repository").mkdir()
    for path in files_to_publish(TINY):
        shutil.copy(path, tmp_path / "repository")
    there = {path.name for path in (tmp_path / "repository").iterdir()}
    assert there > {"modeling_timedistill.py", "pipeline_timedistill.py"}
    models["repository"] = TimeDistillForPrediction.from_pretrained(TINY).eval()
    windows = {name: torch.randn(4, model.config.context_length, 3) for name, model in models.items()}
    windows["repository"] = torch.randn(4, models["repository"].config.context_length, 6)
    torch.save(windows, tmp_path / "x.pt")
    # isolated (-I): neither the working directory nor PYTHONPATH can lend the package
    command = [sys.executable, "-I", "-c", "import sys" + HIDE + LOAD]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, model in models.items():
        outputs = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        expected = model(past_values=windows[name]).prediction_outputs
        torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5, msg=name)  # threads round differently
