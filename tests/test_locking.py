import os

import pytest

from timedistill_hf._utils.errors import InputError
from timedistill_hf._utils.files import exclusive_lock


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe"])
def test_what_was_planted_as_a_lock_is_not_followed(tmp_path, kind):
    """A link's target keeps its content, and none is made where there was none."""
    lock, target = tmp_path / "run" / ".lock", tmp_path / "precious"
    lock.parent.mkdir()
    if kind == "link":
        target.write_text("precious")
    if kind == "folder":
        lock.mkdir()
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.symlink_to(target)
    with (
        pytest.raises(InputError, match=r"\.lock' cannot be locked") as caught,
        exclusive_lock(lock, lock.parent, "--output"),
    ):
        pass
    assert len(str(caught.value).splitlines()) == 1
    assert target.exists() == (kind == "link")
    assert kind != "link" or target.read_text() == "precious"
