import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from timedistill_hf._utils.errors import InputError
from timedistill_hf.cli.parsing import parse, parse_given, run_script
from timedistill_hf.distillation.settings import RunSettings
from timedistill_hf.objective.multi_scale import scales_that_fit
from timedistill_hf.settings.run import (
    DataSettings,
    DistillSettings,
    EvaluateSettings,
    TeacherSettings,
)


@dataclass
class Settings:
    alpha: float = field(default=1.0)
    names: list[str] = field(default_factory=list)
    recipe: str = field(default="none")
    config: str | None = field(default=None)
    flag: bool = field(default=False)


def test_file_then_flags(tmp_path):
    file = tmp_path / "x.yaml"
    assert parse((Settings,), [], alpha=5.0)[0].alpha == 5.0
    file.write_text("recipe: two\nnames: [a, b]\nflag: true\n")
    settings = parse((Settings,), ["--config", str(file)])[0]
    assert (settings.alpha, settings.names, settings.flag) == (1.0, ["a", "b"], True)
    file.write_text("alpha: 3\n")
    assert parse((Settings,), ["--config", str(file)], alpha=5.0)[0].alpha == 3.0
    assert parse((Settings,), ["--config", str(file), "--alpha", "4"])[0].alpha == 4.0
    (tmp_path / "x.json").write_text(json.dumps({"alpha": 6}))
    file = str(tmp_path / "x.json")
    assert parse_given((Settings,), [f"--config={file}"]) == {"config": file, "alpha": 6}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("alpha=3: expected less", "--alpha 3: expected less"),
        (
            "names='a b' is there: name another `recipe`, or pass `flag=True`",
            "--names 'a b' is there: name another --recipe, or pass --flag",
        ),
        ("it has beta=3 and alpha=4: pass `alpha=3`", "it has beta=3 and alpha=4: pass --alpha 3"),
        ("`other` and beta=1 are no flags", "`other` and beta=1 are no flags"),
    ],
)  # fmt: skip
def test_arguments_in_messages_become_flags(message, shown, capsys):
    def main():
        parse((Settings,), [])
        raise InputError(message)

    with pytest.raises(SystemExit):
        run_script(main)
    assert capsys.readouterr().err == f"error: {shown}\n"


def test_files_may_use_yamls_own_types(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("teacher_config: {d_model: 8}\nteacher:\ncontrols: linear\n")
    settings = parse((DistillSettings,), ["--config", str(file)])[0]
    assert settings.teacher_fields() == {"d_model": 8}
    assert settings.teacher == ["itransformer"]
    assert settings.controls == ["linear"]
    file.write_text("split: [0.7, 0.1, 0.2]\ntarget_columns: c0\n")
    settings, _ = parse((DataSettings, DistillSettings), ["--config", str(file)])
    assert settings.split == "0.7,0.1,0.2"
    assert settings.target_columns == ["c0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("alhpa: 3", "sets 'alhpa', which is no flag; did you mean 'alpha'"),
        ("- 1", "expected a mapping"),
        ("a: [", "is no YAML"),
    ],
)
def test_bad_files_are_named(tmp_path, content, message):
    file = tmp_path / "x.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        parse((Settings,), ["--config", str(file)])
    with pytest.raises(InputError, match="is no file"):
        parse((Settings,), ["--config", str(tmp_path / "none.yaml")])


@pytest.mark.parametrize("arguments", [["--alpha", "high"], ["--alhpa", "1"], ["--config"]])
def test_bad_flags_end_on_one_line_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run_script(lambda: parse((Settings,), arguments))
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_input_errors_become_one_line_with_code_2(capsys):
    def main():
        raise InputError("a value\n  over lines")

    with pytest.raises(SystemExit) as caught:
        run_script(main)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: a value over lines\n"


def test_recipe_paper_sets_everything_as_published(tmp_path):
    def read(dataset, teacher):
        settings = RunSettings.of(
            {"dataset": dataset, "teacher": teacher, "output_dir": str(tmp_path), "recipe": "paper"}
        )
        return settings.data, settings.student, settings.run, settings.args

    data, student, _, args = read("etth1", "itransformer")
    assert (data.context_length, data.prediction_length) == (720, 96)
    assert (student.architecture, student.hidden_size, student.moving_average) == ("two_branch", 512, 25)
    assert (student.normalization, student.hidden_norm) == ("mean", "batchnorm")
    assert (args.alpha, args.beta, args.temperature) == (2, 2, 0.5)
    assert (args.num_scales, scales_that_fit(96)) == (None, 3)
    assert (args.kl_reduction, args.loss) == ("element", "mse")
    assert (args.learning_rate, args.lr_epoch_decay, args.lr_constant_epochs) == (0.01, 0.5, 2)
    assert (args.weight_decay, args.max_grad_norm, args.early_stopping_patience) == (0, 0, 5)
    assert (args.per_device_train_batch_size, args.num_train_epochs) == (32, 100)
    assert read("etth2", "itransformer")[3].beta == 0.5
    assert read("etth2", "itransformer")[2].teacher_fields() == {"d_model": 128, "ffn_dim": 128}
    assert read("etth1", "itransformer")[2].teacher_fields() == {}
    assert (read("ettm1", "patchtst")[3].alpha, read("etth1", "patchtst")[3].alpha) == (1, 1)
    _, student, _, args = read("traffic_sub6", "itransformer")
    assert (student.hidden_size, student.normalization) == (1024, "revin")
    assert (args.per_device_train_batch_size, args.num_train_epochs, args.alpha) == (8, 10, 0.5)
    with pytest.raises(InputError, match=r"recipe='bets'.*did you mean 'best'"):
        RunSettings.of({"recipe": "bets"})


def test_settings_check_themselves(tmp_path):
    assert DistillSettings(controls=["none"]).controls == []
    with pytest.raises(InputError, match="controls: 'lin'"):
        DistillSettings(controls=["lin"])
    with pytest.raises(InputError, match="is no JSON"):
        DistillSettings(teacher_config="{d_model: 3}").teacher_fields()
    with pytest.raises(InputError, match="expected a JSON object"):
        TeacherSettings(teacher_config="[1]").teacher_fields()
    with pytest.raises(InputError, match="`model` is missing"):
        EvaluateSettings()
    with pytest.raises(InputError, match="there is no folder"):
        EvaluateSettings(model="x", output=str(tmp_path / "none/r.json"))
    with pytest.raises(InputError, match="batch_size=0"):
        EvaluateSettings(model="x", batch_size=0)
    with pytest.raises(InputError, match="season=-5"):
        DataSettings(season=-5)
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(InputError, match="exists: name another `output`"):
        EvaluateSettings(model="x", output=str(tmp_path / "r.json"))


DAMAGED = {
    "deep.json": "[" * 100_000,
    "deep object.json": '{"alpha":' * 50_000 + "1" + "}" * 50_000,
    "digits.json": '{"alpha": ' + "9" * 5000 + "}",
    "many.json": "{" + ",".join(f'"k{number}": 1' for number in range(100_000)) + "}",
    "deep.yaml": "[" * 5000 + "]" * 5000,
    "digits.yaml": "alpha: " + "9" * 5000,
    "timestamp.yaml": "alpha: !!timestamp x",
    "truth.yaml": "alpha: !!bool x",
    "fraction.yaml": "alpha: !!float ''",
    "list as name.yaml": "? [a]\n: b",
    "itself.yaml": "alpha: 1\n? &a [*a]\n: b",
    "zero.yaml": "a\0b",
    "merged.yaml": "<<: 3",
    "code.yaml": "alpha: !!python/object/apply:os.system [ls]",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_settings_file_that_no_parser_takes(name, tmp_path):
    file = tmp_path / name
    file.write_text(DAMAGED[name])
    with pytest.raises(InputError, match="--config") as caught:
        parse((Settings,), ["--config", str(file)])
    assert len(str(caught.value)) < 1000


def test_dates_within_a_mapping(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("names: [2020-01-01]\nrecipe: {from: 2020-01-01}")
    settings = parse((Settings,), ["--config", str(file)])[0]
    assert (settings.names, settings.recipe) == (["2020-01-01"], '{"from": "2020-01-01"}')
    file.write_text("recipe: {2020-01-01: 1}")
    with pytest.raises(InputError, match="cannot be written as JSON"):
        parse((Settings,), ["--config", str(file)])


def test_a_reader_that_leaves_is_no_traceback():
    """`timedistill --help | head -0`, in a new process."""
    command = "import sys; sys.argv = ['timedistill', '--help']; from timedistill_start import main; main()"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", command], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_broken_pipe_of_something_else_is_not_hidden():
    def main():
        raise BrokenPipeError("a worker is gone")

    with pytest.raises(BrokenPipeError, match="a worker is gone"):
        run_script(main)
