"""Saved models in another process that does not have the package: the code beside the weights is enough."""

import json
import subprocess
import sys

import torch

from tests.conftest import CHANNELS, CONTEXT, tiny_time_mixer, tiny_timesnet
from tests.student.test_travels import HIDE
from timedistill_hf import LightTSConfig, LightTSForPrediction


LOAD = """
import json, torch
from transformers import AutoModelForTimeSeriesPrediction
x = torch.load("x.pt", weights_only=True)
for name in json.loads(sys.argv[1]):
    model = AutoModelForTimeSeriesPrediction.from_pretrained(name, trust_remote_code=True).eval()
    torch.save(model(past_values=x).prediction_outputs.detach(), name + ".pt")
assert "timedistill_hf" not in sys.modules
"""


def test_they_forecast_the_same_without_the_package(tmp_path):
    light_ts = LightTSConfig(context_length=CONTEXT, prediction_length=4, num_input_channels=CHANNELS, d_model=8)
    models = {"timesnet": tiny_timesnet(), "time_mixer": tiny_time_mixer(), "light_ts": LightTSForPrediction(light_ts)}
    x = torch.randn(2, CONTEXT, CHANNELS)
    torch.save(x, tmp_path / "x.pt")
    for name, model in models.items():
        model.eval().save_pretrained(tmp_path / name)
    command = [sys.executable, "-I", "-c", "import sys" + HIDE + LOAD, json.dumps(list(models))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, model in models.items():
        outputs = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        expected = model(past_values=x).prediction_outputs
        torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5, msg=name)  # threads round differently
