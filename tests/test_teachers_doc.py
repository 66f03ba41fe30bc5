"""The code in docs/teachers.md, run as written; its new family goes through the contract of all teachers."""

import inspect
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tests.scripts_helper import generated_csv
from tests.teachers import test_contract
from timedistill_hf import teachers
from timedistill_hf.teachers import loading
from timedistill_hf.training.teacher_training import train_teacher


ROOT = Path(__file__).resolve().parents[1]
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/teachers.md").read_text(encoding="utf-8"), re.DOTALL)
TABLE, FUNCTION, FAMILY, LINE = SNIPPETS
PROMISES = {
    name: function
    for name, function in vars(test_contract).items()
    if name.startswith("test_") and "name" in inspect.signature(function).parameters
}


@pytest.fixture
def family(monkeypatch):
    """The new family, as if its file and its line were there."""
    module = types.ModuleType("timedistill_hf.teachers.families.dlinear")
    module.__package__ = "timedistill_hf.teachers.families"
    exec(FAMILY, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    families = (*teachers.FAMILIES, *eval(f"({LINE})"))
    monkeypatch.setattr(loading, "FAMILIES", families)
    monkeypatch.setattr(test_contract, "FAMILIES", families)
    return "dlinear"


@pytest.mark.parametrize("promise", sorted(PROMISES))
def test_the_new_family_keeps_every_promise(promise, family, request):
    wanted = inspect.signature(PROMISES[promise]).parameters
    PROMISES[promise](**{name: family if name == "name" else request.getfixturevalue(name) for name in wanted})


@pytest.fixture(scope="session")
def not_distilled(data, tmp_path_factory):
    return test_contract.forecasts_without_a_teacher(data, tmp_path_factory.mktemp("plain"))


def test_the_new_family_is_trained(family, data, tmp_path):
    assert family in teachers.trainable_families()
    teacher = train_teacher(family, data, tmp_path / "t", max_steps=2, disable_tqdm=True, report_to="none")
    teacher.check_fits(**data.shape)


def test_a_new_process_loads_it_as_its_first_thing(family, data, tmp_path):
    """Its configuration is known to transformers only when its file was imported."""
    train_teacher(family, data, tmp_path / "t", max_steps=2, disable_tqdm=True, report_to="none")
    (tmp_path / "dlinear.py").write_text(FAMILY)
    code = (
        "import timedistill_hf.teachers.families as families; from timedistill_hf.teachers import loading\n"
        f"families.__path__.append({str(tmp_path)!r}); loading.FAMILIES = (*loading.FAMILIES, 'dlinear')\n"
        f"print(loading.load_teacher({str(tmp_path / 't')!r}).name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["dlinear"], done.stderr[-2000:]


def test_the_snippets_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generated_csv(tmp_path, 400).rename("my.csv")
    exec(FUNCTION, {})
    quick = TABLE.replace("beta=0.0)", "beta=0.0, max_steps=2, disable_tqdm=True, report_to='none')")
    assert quick != TABLE
    exec(quick, {})
    assert (tmp_path / "forecasts.parquet").exists()
