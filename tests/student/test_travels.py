"""The student's folder, which travels with the weights."""

import sys
from pathlib import Path

from transformers.dynamic_module_utils import get_imports

from timedistill_hf.student import modeling_timedistill


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
