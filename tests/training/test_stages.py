"""A stage is trained once, gone on with after an interruption, and never taken for another one."""

import dataclasses
import shutil

import pytest
import torch

from timedistill_hf._utils.errors import InputError
from timedistill_hf.training.stages import newest_complete_checkpoint
from timedistill_hf.training.teacher_training import train_teacher


SMALL = {"d_model": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "ffn_dim": 16}
QUICK = {"num_train_epochs": 2, "disable_tqdm": True, "report_to": "none"}


def weights(teacher):
    return torch.cat([parameter.flatten() for parameter in teacher.parameters()])


def test_a_finished_teacher_is_loaded_and_another_one_refused(data, tmp_path):
    folder = tmp_path / "teacher"
    first = train_teacher("itransformer", data, folder, config=SMALL, **QUICK)
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    again = train_teacher("itransformer", data, folder, config=SMALL, **QUICK)
    assert torch.equal(weights(first), weights(again))
    assert (folder / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match=r"holds a run with"):
        train_teacher("patchtst", data, folder, config=SMALL, **QUICK)
    with pytest.raises(InputError, match=r"learning_rate: 0.0001 -> 0.5; use the same"):
        train_teacher("itransformer", data, folder, config=SMALL, **QUICK, learning_rate=0.5)
    scaled = dataclasses.replace(data, series=dataclasses.replace(data.series, values=data.series.values * 10))
    with pytest.raises(InputError, match=r"there -> here.: data_fingerprint: '\w+' -> '\w+'; use the same"):
        train_teacher("itransformer", scaled, folder, config=SMALL, **QUICK)


def test_overwriting_checks_everything_before_it_deletes(data, tmp_path):
    folder = tmp_path / "teacher"
    train_teacher("itransformer", data, folder, config=SMALL, **QUICK)
    with pytest.raises(InputError, match="no configuration field 'wheels'"):
        train_teacher("itransformer", data, folder, config={"wheels": 4}, overwrite=True, **QUICK)
    with pytest.raises(InputError, match="configuration of the teacher patchtst"):
        train_teacher(
            "patchtst", data, folder, config={"d_model": 9, "num_attention_heads": 4}, overwrite=True, **QUICK
        )
    assert (folder / "model.safetensors").is_file()
    train_teacher("patchtst", data, folder, config=SMALL, overwrite=True, **QUICK)
    foreign = tmp_path / "foreign"
    shutil.copytree(folder, foreign)
    (foreign / "settings.json").unlink()
    with pytest.raises(InputError, match="holds no run"):
        train_teacher("patchtst", data, foreign, config=SMALL, overwrite=True, **QUICK)


def test_a_checkpoint_cut_off_while_saving_is_passed_over(data, tmp_path):
    folder = tmp_path / "teacher"
    whole = train_teacher("itransformer", data, tmp_path / "whole", config=SMALL, **QUICK)
    train_teacher("itransformer", data, folder, config=SMALL, **QUICK)
    (folder / "model.safetensors").unlink()
    first, last = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    state = (last / "trainer_state.json").read_text()
    (last / "trainer_state.json").write_text(state[: len(state) // 2])
    (folder / "checkpoint-999").mkdir()
    assert newest_complete_checkpoint(folder) == str(first)
    resumed = train_teacher("itransformer", data, folder, config=SMALL, **QUICK)
    assert torch.equal(weights(resumed), weights(whole))
