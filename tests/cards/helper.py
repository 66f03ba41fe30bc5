"""Cards as text: their snippets, run as written, and what must never be in them."""

import copy
import json
import re
import tempfile
from pathlib import Path


ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "examples/tiny_student"


def results(**changes) -> dict:
    """The content of a real `results.json`, some of its parts replaced."""
    content = json.loads((TINY / "results.json").read_text(encoding="utf-8"))
    for name, value in changes.items():
        content[name] = content[name] | value if isinstance(content.get(name), dict) else value
    return copy.deepcopy(content)


def snippets(text: str) -> list[str]:
    return [part.split("```")[0] for part in text.split("```python\n")[1:]]


def run_snippets(text: str, repo: str, folder: Path) -> int:
    """Execute every Python snippet, only the repo's name replaced by a folder; gives their number."""
    found = snippets(text)
    for snippet in found:
        line = f"repo = {json.dumps(repo)}\n"
        assert line in snippet
        exec(snippet.replace(line, f"repo = {str(folder)!r}\n"), {})
    return len(found)


def check_private(text: str) -> None:
    """No place on this machine, and nothing like a token."""
    for place in (tempfile.gettempdir(), str(Path.home()), str(ROOT), "/work/", "/root/"):
        assert place not in text, place
    assert not re.search(r"hf_\w{8,}", text)
    assert not re.search(r'["\s(`]/(?:\w+/)+\w+', text), "an absolute path"
