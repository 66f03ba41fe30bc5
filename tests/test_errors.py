import pytest

from timedistill_hf._utils.errors import changes
from timedistill_hf._utils.run_folder import RunFolder


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"alpha": 1.0, "seed": 1}, {"alpha": 3.0, "seed": 1}, "alpha: 1.0 -> 3.0"),
        ({"seed": 1}, {"seed": 1, "beta": 2}, "beta: None -> 2"),
        (
            {"data_fingerprint": "x", "dataset": "a.csv", "split": "1,1,1"},
            {"data_fingerprint": "y", "dataset": "b.csv", "split": None},
            "dataset: 'a.csv' -> 'b.csv'; split: '1,1,1' -> None; data_fingerprint: 'x' -> 'y'",
        ),
        ({"options": {"freq": "h", "scaling": "auto"}}, {"options": {"freq": "D"}}, "options.freq: 'h' -> 'D'"),
        ({"rows": {}}, {"rows": {}}, ""),
    ],
)
def test_each_setting_that_changed_is_named_the_datas_fingerprint_last(before, now, said):
    assert changes(before, now).startswith(said)
    assert bool(changes(before, now)) == bool(said)


def test_a_runs_folder_says_which_flag_changed_and_not_only_that_the_data_did(tmp_path):
    folder = RunFolder(tmp_path / "run")
    settings = {"seed": 1, "dataset": "a.csv", "missing_value": None, "data_fingerprint": "x"}
    folder.start(settings, overwrite=False)
    with pytest.raises(ValueError, match=r"holds a run with other settings") as caught:
        folder.check(settings | {"missing_value": [-9.0], "data_fingerprint": "y"}, overwrite=False)
    changed = "missing_value: None -> [-9.0]; data_fingerprint: 'x' -> 'y'"
    assert f"(there -> here): {changed}; use the same" in str(caught.value)
