import pytest

from timedistill_hf._utils.run_folder import RunFolder


@pytest.mark.parametrize("name", ["teacher", "controls", "candidates", "teacher_signal", "checkpoint-3"])
def test_a_link_in_a_run_is_removed_and_what_it_leads_to_is_kept(tmp_path, name):
    """Left in place, the next run would find another teacher there and ask for --overwrite, which was given."""
    run = RunFolder(tmp_path / "run")
    run.start({"seed": 1}, overwrite=False)
    kept = tmp_path / "elsewhere"
    kept.mkdir()
    (kept / "model.safetensors").write_bytes(b"trained for days")
    (run.path / name).symlink_to(kept)
    run.check({"seed": 2}, overwrite=True)
    run.start({"seed": 2}, overwrite=True)
    assert not (run.path / name).exists()
    assert not (run.path / name).is_symlink()
    assert (kept / "model.safetensors").read_bytes() == b"trained for days"
