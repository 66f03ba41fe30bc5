"""The launch configurations: accelerate reads them, and the README names every one."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file


ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / "accelerate_configs").glob("*.yaml"))


def test_there_is_one_for_every_way_to_launch():
    assert [path.stem for path in CONFIGS] == ["bf16", "cpu_two_processes", "fsdp", "multi_gpu", "one_gpu"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_accelerate_reads_it_and_the_readme_names_it(path):
    config = load_config_from_file(str(path))
    is_parallel = path.stem in ("cpu_two_processes", "fsdp", "multi_gpu")
    assert (config.num_processes > 1) == is_parallel
    assert (config.mixed_precision == "bf16") == (path.stem in ("bf16", "fsdp"))
    assert f"accelerate_configs/{path.name}" in (ROOT / "docs/distillation.md").read_text(encoding="utf-8")
