"""Run by test_script.py in two processes: the script on a table that cannot be used, then on one that can."""

import os
import runpy
import sys
from pathlib import Path

from tests.scripts_helper import SCRIPTS


def main(folder: Path) -> None:
    script = str(SCRIPTS / "forecast_fleet.py")
    for name in ("bad", "good"):
        files = {
            "model": folder / "model",
            "input": folder / f"{name}.parquet",
            "output": folder / f"{name}.out.parquet",
        }
        sys.argv = [script, *(part for flag, path in files.items() for part in (f"--{flag}", str(path)))]
        code = 0
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        (folder / f"{name}{os.environ['RANK']}.code").write_text(str(code))
