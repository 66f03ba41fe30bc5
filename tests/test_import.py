import ast
import json
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest


SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
HEAVY = ("transformers.trainer", "datasets", "pandas", "matplotlib", "evaluate")


def run(code: str, *arguments: str, cwd: Path = SCRIPTS.parent) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd)


def test_import_registers_the_models_and_loads_nothing_heavy():
    done = run(
        "import sys, timedistill_hf; from transformers import AutoConfig, AutoModelForTimeSeriesPrediction as A;"
        "config = AutoConfig.for_model('timedistill', num_input_channels=2, hidden_size=4);"
        "print(type(A.from_config(config)).__name__);"
        f"print([name for name in {HEAVY} if name in sys.modules]);"
        "from timedistill_hf.teachers import get_family, trainable_families; trainable_families();"
        "get_family('chronos').config(96, 24, 1); print('chronos' in sys.modules)"  # which is an extra
    )
    assert done.stdout.split() == ["TimeDistillForPrediction", "[]", "False"], done.stderr[-2000:]


FLAGS = {
    "../benchmarks/reproduce.py": ("--matrix", "--lanes", "--threads", "--only", "--max_hours", "--report"),
    "backtest.py": ("--model", "--input", "--output"),
    "cache_teacher.py": ("--dataset", "--signal_dir", "--estimate"),
    "distill.py": ("--dataset", "--data_dir", "--teacher", "--alpha", "--learning_rate"),
    "evaluate.py": ("--dataset", "--data_dir", "--model"),
    "export.py": ("--model", "--output"),
    "forecast.py": ("--model", "--input", "--output"),
    "forecast_fleet.py": ("--model", "--input", "--output"),
    "make_model_cards.py": ("--results_dir", "--output_dir"),
    "plot.py": ("--run", "--results", "--output"),
    "push_dataset.py": ("--dataset", "--repo_id", "--license"),
    "push_model.py": ("--folder", "--repo_id"),
    "train_teacher.py": ("--dataset", "--data_dir", "--teacher", "--learning_rate"),
    "write_forecasts.py": ("--dataset", "--model", "--output"),
}
LIGHT = """
import contextlib, io, json, runpy, sys
ends = []
for command in json.loads(sys.argv[1]):
    out, err, code, sys.argv = io.StringIO(), io.StringIO(), None, command
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try: runpy.run_path(command[0], run_name="__main__")
        except SystemExit as end: code = end.code
    heavy = [name for name in ("torch", "transformers", "datasets", "pandas", "numpy") if name in sys.modules]
    ends.append((code, out.getvalue(), err.getvalue(), heavy))
print(json.dumps(ends))
"""
WRONG = {
    ("--learning_rate", "high"): "invalid float value: 'high'",
    ("--num-scales", "few"): "invalid int value: 'few'",
    ("--architecture", "cnn"): "invalid choice: 'cnn'",
    ("--overwrite", "perhaps"): "got perhaps",
    ("--config", "x.yaml"): "sets 'alhpa', which is no flag; did you mean 'alpha'?",
}


def light(*commands: list[str], cwd: Path = SCRIPTS.parent) -> list[tuple[int, str, str]]:
    """Exit code and what was said of each, after checking that nothing heavy was imported by then."""
    done = run(LIGHT, json.dumps([[str(SCRIPTS / script), *flags] for script, *flags in commands]), cwd=cwd)
    ends = json.loads(done.stdout)
    for command, (*_, heavy) in zip(commands, ends, strict=True):
        assert heavy == [], command
    return [tuple(end[:3]) for end in ends]


def test_help_and_wrong_flags_are_answered_before_torch_is_imported():
    """In a new process."""
    assert sorted(FLAGS)[1:] == sorted(path.name for path in SCRIPTS.glob("*.py"))
    for how in ("--help", "--help-all"):
        helps = light(*([script, how] for script in FLAGS))
        for (script, flags), (code, said, error) in zip(FLAGS.items(), helps, strict=True):
            assert (code, error) == (0, ""), script
            assert all(f" {flag} " in said.replace(",", " ") for flag in flags), (script, how)
            if how == "--help" and "benchmarks" not in script:  # on one screen
                assert len(said.splitlines()) <= 45, script
                assert max(map(len, said.splitlines())) <= 120, script
    for script, (code, said, error) in zip(FLAGS, light(*([script, "--wrnog", "3"] for script in FLAGS)), strict=True):
        assert (code, said) == (2, ""), script
        assert error.startswith("error: '--wrnog' is no flag; "), script
        assert len(error.splitlines()) == 1


def test_wrong_values_too(tmp_path):
    (tmp_path / "x.yaml").write_text("alhpa: 1")
    ends = light(*(["distill.py", *flags] for flags in WRONG), cwd=tmp_path)
    for expected, (code, said, error) in zip(WRONG.values(), ends, strict=True):
        assert (code, said) == (2, "")
        assert expected in error
        assert len(error.splitlines()) == 1


def test_a_script_registers_the_models_when_its_flags_are_read():
    """What `import timedistill_hf` does at once, a script does late, and not never."""
    done = run(
        "import sys, timedistill_start, timedistill_hf; print('torch' in sys.modules)\n"
        "from timedistill_hf.cli.parsing import parse; from timedistill_hf.settings.run import DataSettings\n"
        "parse((DataSettings,), [])\n"
        "from transformers import AutoConfig; print(AutoConfig.for_model('timedistill').model_type)"
    )
    assert done.stdout.split() == ["False", "timedistill"], done.stderr[-2000:]


def test_every_public_name_can_be_had():
    import timedistill_hf

    for name in timedistill_hf.__all__:
        assert getattr(timedistill_hf, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'distil'"):
        _ = timedistill_hf.distil


def test_every_public_name_is_typed_strictly():
    """Its module is one of those that pyproject.toml has mypy check for untyped definitions."""
    import timedistill_hf

    overrides = tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    strict = next(each["module"] for each in overrides if each.get("disallow_untyped_defs"))
    modules = {getattr(timedistill_hf, name).__module__ for name in timedistill_hf.__all__}
    assert {module for module in modules if not any(fnmatch(module, pattern) for pattern in strict)} == set()


def test_type_checkers_see_the_public_names_that_there_are():
    """The stub, which also says where each name is, has no line that only one of the two readers understands."""
    stub = ast.parse((SCRIPTS.parent / "timedistill_hf/__init__.pyi").read_text())
    import timedistill_hf

    seen = [alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert seen == timedistill_hf.__all__
