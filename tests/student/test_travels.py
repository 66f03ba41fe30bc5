"""A saved student in another process: with the package, and without it as remote code."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers.dynamic_module_utils import get_imports

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.student import modeling_timedistill

from .models import combination


LOAD = """
import sys, torch
{before}
from transformers import AutoModelForTimeSeriesPrediction
for name, x in torch.load("x.pt", weights_only=True).items():
    model = AutoModelForTimeSeriesPrediction.from_pretrained(name, trust_remote_code={trust}).eval()
    torch.save(model(past_values=x).prediction_outputs.detach(), name + ".pt")
assert ("timedistill_hf" in sys.modules) is {package}, sorted(sys.modules)
"""
HIDE = """
import importlib.abc
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "timedistill_hf":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
"""


def published_form() -> TimeDistillForPrediction:
    return TimeDistillForPrediction(
        TimeDistillConfig(context_length=48, prediction_length=16, num_input_channels=3, hidden_size=8)
    ).eval()


def all_forms() -> TimeDistillForPrediction:
    members = [{"architecture": name} for name in ("two_branch", "mlp", "linear", "periodic", "cycle", "residual")]
    return combination(members, [0.1, 0.2, 0.3, 0.4, -0.1, 0.1])


@pytest.mark.parametrize("package", [True, False])
def test_a_fresh_process_gives_identical_outputs(tmp_path, package):
    models = {"published": published_form(), "all": all_forms()}
    inputs = {}
    for name, model in models.items():
        model.save_pretrained(tmp_path / name)
        inputs[name] = torch.randn(4, model.config.context_length, 3)
    torch.save(inputs, tmp_path / "x.pt")
    code = LOAD.format(before="import timedistill_hf" if package else HIDE, trust=not package, package=package)
    # isolated (-I): neither the working directory nor PYTHONPATH can lend the package
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, model in models.items():
        outputs = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        torch.testing.assert_close(outputs, model(past_values=inputs[name]).prediction_outputs)  # threads of its own


def test_the_folder_imports_only_torch_and_transformers():
    """Tables need numpy and pandas, in modules that are imported where a table is read."""
    of_tables = {"clock_timedistill", "panel_timedistill", "frames_timedistill"}
    for path in Path(modeling_timedistill.__file__).parent.glob("*_timedistill.py"):
        text = path.read_text()
        allowed = {"", *sys.stdlib_module_names, "torch", "transformers", "huggingface_hub"}
        allowed |= {"numpy"} if path.stem in {*of_tables, "inputs_timedistill"} else set()
        for line in text.splitlines():
            if line.startswith(("import ", "from ")):
                assert line.split()[1].split(".")[0] in allowed, line
                assert path.stem in of_tables or line.split()[1][1:] not in of_tables, line
        assert set(get_imports(path)) <= allowed, path  # what loading the code from the Hub asks for
        assert text.count("import pandas") == text.count("if is_pandas_available():\n    import pandas as pd\n"), path
