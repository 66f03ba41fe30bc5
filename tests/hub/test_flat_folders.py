"""What travels with the weights stands alone: it imports torch, transformers and its siblings, and nothing else."""

import ast
import sys
from pathlib import Path

import pytest
from transformers.dynamic_module_utils import get_relative_import_files

import timedistill_hf


PACKAGE = Path(timedistill_hf.__file__).parent
OWN = {getattr(timedistill_hf, name) for name in timedistill_hf.__all__ if name.endswith("Config")}
ALLOWED = {"torch", "transformers", "huggingface_hub", *sys.stdlib_module_names}


def modules(config: type) -> list[Path]:
    """The modules of a registered configuration, and those that they import from beside them: what is published."""
    folder = Path(sys.modules[config.__module__].__file__).parent
    suffix = config.__module__.rsplit("configuration", 1)[1]
    own = set(folder.glob(f"*{suffix}.py"))
    return sorted(own.union(*(map(Path, get_relative_import_files(path)) for path in own)))


def test_all_of_the_packages_own_models_are_looked_at():
    assert {"timedistill", "itransformer", "modern_tcn"} <= {config.model_type for config in OWN}


@pytest.mark.parametrize("config", sorted(OWN, key=lambda config: config.model_type))
def test_the_code_of_a_model_stands_alone(config):
    paths = modules(config)
    assert len(paths) >= 2
    names = {path.stem for path in paths}
    for path in paths:
        allowed = ALLOWED | ({"numpy"} if path.stem == "inputs_timedistill" else set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {name.name.split(".")[0] for name in node.names} <= allowed, (path.name, node.lineno)
            elif isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1, (path.name, node.lineno)
                assert node.module in names, f"{path.name}:{node.lineno}: only `from .sibling import name` travels"
            elif isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] in allowed, (path.name, node.lineno)
