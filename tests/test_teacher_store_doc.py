"""docs/teacher_store.md: its commands and its Python run as written, one after the other; its sizes are computed."""

import re
from pathlib import Path

from tests.scripts_helper import as_script, run
from timedistill_hf._utils.readable import readable_bytes
from timedistill_hf.data.benchmarks import BENCHMARKS
from timedistill_hf.teachers import get_family


PATH = Path(__file__).resolve().parents[1] / "docs/teacher_store.md"
TEXT = PATH.read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines() if line.strip()
]
(PYTHON,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
ROWS = {"etth1": (8640, 7), "weather": (36_887, 21), "electricity": (18_412, 321)}
"""Train rows and channels."""


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (PATH.parent / target).exists(), target


def test_the_sizes_are_those_of_the_formula():
    features = [0, get_family("itransformer").config(720, 96, 7).d_model]
    patchtst = get_family("patchtst").config(720, 96, 7)
    features.append((720 - patchtst.patch_length + patchtst.patch_stride) // patchtst.patch_stride * patchtst.d_model)
    assert f"d = {features[1]}" in TEXT
    assert f"d = {features[2]}" in TEXT
    for name, (rows, channels) in ROWS.items():
        windows = rows - 720 - 96 + 1
        sizes = [windows * channels * (96 + d) * 4 for d in features]
        expected = [f"{windows:,}", str(channels)]
        expected += [readable_bytes(size // part) for size in sizes for part in (1, 2)]
        (line,) = re.findall(rf"^\| `{name}` (.*)$", TEXT, re.MULTILINE)
        assert [cell.strip() for cell in line.split("|")[1:-1]] == expected
    assert BENCHMARKS["etth1"].split.rows[0] == ROWS["etth1"][0]


def test_the_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("timedistill_hf.plots.run.plot_run", lambda *_: [])
    logs = []
    for command in COMMANDS:
        script, flags = as_script(command)
        if "distill" in script:
            flags += ["--members", '{"architecture": "linear", "ridge": true}', "--controls", "none"]
        if "train_teacher" in script:
            flags += ["--max_steps", "2"]
        run(monkeypatch, script, *flags, *([] if "write" in script else ["--disable_tqdm", "true"]))
        captured = capsys.readouterr()
        logs.append(captured.out + captured.err)
    assert len(logs) == 7
    assert "4,081 windows, 2.35 MB as float32" in logs[1]
    assert "nothing was written" in logs[1]
    assert "Teacher signal: found, 4,081 windows" in logs[3]
    assert "2.35 MB" not in logs[4]
    assert "1.18 MB as float16" in logs[4]
    exec(PYTHON.replace("num_train_epochs=1", "max_steps=2, disable_tqdm=True"), {})
