"""The student's folder, which travels with the weights."""

import sys
from pathlib import Path

from transformers.dynamic_module_utils import get_imports

from timedistill_hf.student import modeling_timedistill


def test_the_folder_imports_only_torch_and_transformers():
    for path in Path(modeling_timedistill.__file__).parent.glob("*_timedistill.py"):
        text = path.read_text()
        allowed = {"", *sys.stdlib_module_names, "torch", "transformers", "huggingface_hub"}
        allowed |= {"numpy"} if path.stem == "inputs_timedistill" else set()
        for line in text.splitlines():
            if line.startswith(("import ", "from ")):
                assert line.split()[1].split(".")[0] in allowed, line
        assert set(get_imports(path)) <= allowed, path  # what loading the code from the Hub asks for
        assert "import pandas" not in text, path
