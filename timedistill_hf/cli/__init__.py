"""What the scripts share: settings as dataclasses, and how flags, files and recipes become them."""

import sys
from pathlib import Path


# `python scripts/x.py` puts scripts/ first on the path, where scripts/evaluate.py would hide the evaluate package
_folder = Path(sys.argv[0]).resolve().parent
if sys.path and Path(sys.path[0]).resolve() == _folder and (_folder / "evaluate.py").is_file():
    sys.path.pop(0)
