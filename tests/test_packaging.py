"""What pyproject.toml says of versions is what is tested."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def minima() -> dict[str, Version]:
    """Of each requirement of the package, its export and its tests; tools of `make lint` are pinned alone."""
    extras = PROJECT["optional-dependencies"]
    texts = PROJECT["dependencies"] + extras["export"] + [each for each in extras["dev"] if "pytest" in each]
    requirements = map(Requirement, texts)
    return {canonicalize_name(each.name): Version(next(iter(each.specifier)).version) for each in requirements}


def pins(file: str) -> dict[str, Version]:
    lines = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / file).read_text(), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in lines}


def test_the_oldest_versions_are_the_minima():
    oldest = pins("constraints-oldest.txt")
    assert {name: oldest[name] for name in minima()} == minima()


def test_what_is_needed_is_pinned_within_its_range():
    pinned = pins("constraints.txt")
    assert {name for name, least in minima().items() if not pinned[name] >= least} == set()


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_run_targets_that_there_are(path):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    jobs = yaml.safe_load(path.read_text())["jobs"]
    for job in jobs.values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for step in job["steps"]:
            if step.get("run", "").startswith("make "):
                named = step["run"].split()[1:]
                if named[0] == "${{":
                    named = [each["target"] for each in matrix["versions"]]
                assert set(named) <= set(targets)
