import subprocess
import sys
from pathlib import Path

import pytest


SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
HEAVY = ("transformers.trainer", "datasets", "pandas", "matplotlib", "evaluate")


def run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


def test_import_registers_the_models_and_loads_nothing_heavy():
    done = run(
        "import sys, timedistill_hf; from transformers import AutoConfig, AutoModelForTimeSeriesPrediction as A;"
        "config = AutoConfig.for_model('timedistill', num_input_channels=2, hidden_size=4);"
        "print(type(A.from_config(config)).__name__);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert done.stdout.split("\n")[:2] == ["TimeDistillForPrediction", "[]"], done.stderr[-2000:]


WITH_SETTINGS = (
    "distill.py", "train_teacher.py", "evaluate.py", "forecast.py", "forecast_fleet.py", "backtest.py", "plot.py",
)  # fmt: skip


@pytest.mark.parametrize("script", [*WITH_SETTINGS, "make_model_cards.py"])
def test_help_is_complete_and_loads_no_data_library(script):
    code = (
        "import runpy, sys; script = sys.argv[1]; sys.argv = [script, '--help']\n"
        "try: runpy.run_path(script, run_name='__main__')\n"
        f"finally: print('HEAVY', [n for n in {HEAVY} if n in sys.modules and n != 'transformers.trainer'])"
    )
    done = run(code, str(SCRIPTS / script))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "HEAVY []" in done.stdout
    tables = ("--model", "--input", "--output")
    own = {
        "forecast.py": tables,
        "forecast_fleet.py": tables,
        "backtest.py": tables,
        "plot.py": ("--run", "--results", "--output"),
        "make_model_cards.py": ("--results_dir", "--output_dir"),
    }
    flags = own.get(script, ("--dataset", "--data_dir"))
    assert all(flag in done.stdout for flag in flags)


def test_every_public_name_can_be_had():
    import timedistill_hf

    for name in timedistill_hf.__all__:
        assert getattr(timedistill_hf, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'distil'"):
        _ = timedistill_hf.distil
