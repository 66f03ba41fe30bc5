"""S: flags and settings files that no run is begun with."""

import pytest

from tests.bad_input.tables import write


FLAGS = [
    ("unknown flag", "distill.py", ["--hiden_size", "3"], "'--hiden_size' is no flag", "did you mean 'hidden_size'?"),
    ("unlike any flag", "evaluate.py", ["--xyz", "1"], "'--xyz' is no flag", "--help lists the flags"),
    ("no flag at all", "train_teacher.py", ["fast"], "'fast' is no flag", "--help lists the flags"),
    ("a flag cut short", "distill.py", ["--hidden", "8"], "'--hidden' is no flag", "did you mean 'hidden_size'?"),
    ("words for a number", "distill.py", ["--hidden_size", "wide"], "invalid int value: 'wide'", "--help lists"),
    ("a fraction for a count", "distill.py", ["--context_length", "4.5"], "invalid int value: '4.5'", "--help lists"),
    ("another architecture", "distill.py", ["--architecture", "cnn"], "'cnn'", "choose from 'two_branch', 'mlp'"),
    ("another loss", "train_teacher.py", ["--loss", "huber"], "invalid choice: 'huber'", "choose from 'mse', 'mae'"),
    ("perhaps", "distill.py", ["--overwrite", "perhaps"], "got perhaps", "true/false"),
    ("no width", "distill.py", ["--hidden_size", "0"], "--hidden_size 0", "expected a positive number"),
    (
        "an even window",
        "distill.py",
        ["--moving_average", "4"],
        "--moving_average 4",
        "expected an odd positive number",
    ),
    ("a negative weight", "distill.py", ["--alpha", "-1"], "--alpha -1.0", "expected a number from 0"),
    ("a weight that is no number", "distill.py", ["--beta", "nan"], "--beta nan", "expected a number from 0"),
    ("no temperature", "distill.py", ["--temperature", "0"], "--temperature 0.0", "expected a number above 0"),
    ("negative scales", "distill.py", ["--num_scales", "-1"], "--num_scales -1", "expected 0 or more"),
    ("too many scales", "distill.py", ["--num_scales", "5"], "which needs 32", "lower num_scales to 4"),
    ("no learning", "train_teacher.py", ["--learning_rate", "0"], "--learning_rate 0.0", "a number above 0"),
    ("a rate of nan", "distill.py", ["--learning_rate", "nan"], "--learning_rate nan", "expected a number above 0"),
    ("no batch", "distill.py", ["--per_device_train_batch_size", "0"], "batch_size 0", "expected 1 or more"),
    ("no batch to score", "evaluate.py", ["--batch_size", "0"], "batch_size 0", "expected 1 or more"),
    ("no accumulation", "distill.py", ["--gradient_accumulation_steps", "0"], "steps 0", "expected 1 or more"),
    ("no epochs", "distill.py", ["--num_train_epochs", "0"], "--num_train_epochs 0.0", "expected a number above 0"),
    ("negative epochs", "train_teacher.py", ["--num_train_epochs", "-1"], "--num_train_epochs -1.0", "above 0"),
    ("no steps", "distill.py", ["--max_steps", "0"], "--max_steps 0", "expected 1 or more, or -1"),
    ("a negative seed", "distill.py", ["--seed", "-1"], "--seed -1", "expected a whole number from 0 to 4294967295"),
    ("a huge seed", "distill.py", ["--seed", "9999999999"], "--seed 9999999999", "from 0 to 4294967295"),
    ("negative decay", "distill.py", ["--weight_decay", "-1"], "--weight_decay -1.0", "expected a number from 0"),
    ("decay of nan", "distill.py", ["--weight_decay", "nan"], "--weight_decay nan", "expected a number from 0"),
    ("negative clipping", "distill.py", ["--max_grad_norm", "-1"], "--max_grad_norm -1.0", "expected a number from 0"),
    ("a beta of Adam", "distill.py", ["--adam_beta1", "2"], "--adam_beta1 2.0", "from 0 to below 1"),
    ("a growing rate", "distill.py", ["--lr_epoch_decay", "2"], "--lr_epoch_decay 2.0", "above 0, at most 1"),
    (
        "negative patience",
        "distill.py",
        ["--early_stopping_patience", "-1"],
        "patience -1",
        "expected 0 (off) or more",
    ),
    ("negative workers", "distill.py", ["--dataloader_num_workers", "-1"], "workers -1", "expected 0 or more"),
    (
        "a tracker not installed",
        "distill.py",
        ["--report_to", "wandb"],
        "--report_to 'wandb'",
        "install it, or choose",
    ),
    ("an unknown tracker", "train_teacher.py", ["--report_to", "paper"], "--report_to 'paper'", "or choose of"),
    ("an unknown metric", "distill.py", ["--metric_for_best_model", "r2"], " 'r2'", "expected eval_mse, eval_mae"),
    ("the same for a teacher", "train_teacher.py", ["--metric_for_best_model", "r2"], " 'r2'", "expected eval_mse"),
    ("deepspeed not installed", "distill.py", ["--deepspeed", "x.json"], "deepspeed", "is required"),
    (
        "no such strategy",
        "distill.py",
        ["--eval_strategy", "often"],
        "often",
        "select one of ['no', 'steps', 'epoch']",
    ),
    ("an unknown control", "distill.py", ["--controls", "linar"], "'linar'", "did you mean 'linear'?"),
    ("an unknown recipe", "distill.py", ["--recipe", "papre"], "--recipe 'papre'", "did you mean 'paper'?"),
    (
        "a teacher misspelt",
        "distill.py",
        ["--teacher", "itransfomer"],
        "'itransfomer'",
        "did you mean 'itransformer'?",
    ),
    ("a family misspelt", "train_teacher.py", ["--teacher", "patchtts"], "'patchtts'", "did you mean 'patchtst'?"),
    ("settings of a trained teacher", "distill.py", ["--teacher_epochs", "3"], "trained already", "go with a family"),
    ("no model", "evaluate.py", ["--model", ""], "model ''", "give the folder or Hub id of a trained model"),
]


@pytest.mark.parametrize(
    ("script", "flags", "value", "remedy"),
    [pytest.param(*case, id=f"S{n:02}-{name.replace(' ', '-')}") for n, (name, *case) in enumerate(FLAGS, 1)],
)
def test_a_flag(script, flags, value, remedy, refused):
    refused(script, *flags, found=(value, remedy))


CONFIGURATIONS = [
    ("no JSON", "itransformer", "{d_model: 8}", "'{d_model: 8}' is no JSON", "double quotes"),
    ("empty", "patchtst", "", "--teacher_config '' is no JSON", "Expecting value"),
    ("a list", "itransformer", "[1]", "--teacher_config '[1]'", 'expected a JSON object such as {"d_model": 32}'),
    ("unknown field", "itransformer", '{"dmodel": 8}', "no configuration field 'dmodel'", "did you mean 'd_model'?"),
    (
        "unlike any field",
        "patchtst",
        '{"wheels": 4}',
        "no configuration field 'wheels'",
        "it has ['activation_function'",
    ),
    ("a field of all models", "itransformer", '{"model_type": "bert"}', "field 'model_type'", "it has ["),
    ("a field of the run", "itransformer", '{"context_length": 9}', "context_length=9", "leave it out"),
    ("words for a width", "patchtst", '{"d_model": "wide"}', "'d_model' expected int", "change or leave out"),
    ("a width of 0", "patchtst", '{"d_model": 0}', "d_model=0", "expected 1 or more"),
    ("no layers", "patchtst", '{"num_hidden_layers": 0}', "num_hidden_layers=0", "expected 1 or more"),
    (
        "heads that do not divide",
        "itransformer",
        '{"d_model": 7}',
        "d_model=7 is not divisible",
        "leave out that field",
    ),
    ("heads of another teacher", "patchtst", '{"d_model": 7}', "{'d_model': 7}", "change or leave out that field"),
    ("more dropout than all", "itransformer", '{"dropout": 5}', "but got 5", "between 0 and 1"),
    ("no such activation", "patchtst", '{"activation_function": "swoosh"}', "swoosh", "change or leave out"),
    ("forecasts of distributions", "patchtst", '{"loss": "nll"}', "loss='nll'", "expected 'mse'"),
    ("more memory than there is", "itransformer", '{"d_model": 100000000000}', "100000000000", "change or leave out"),
]


@pytest.mark.parametrize(
    ("family", "text", "value", "remedy"),
    [pytest.param(*case, id=f"S{n}-{name.replace(' ', '-')}") for n, (name, *case) in enumerate(CONFIGURATIONS, 50)],
)
@pytest.mark.parametrize("script", ["distill.py", "train_teacher.py"])
def test_a_teachers_configuration(script, family, text, value, remedy, refused):
    refused(script, "--teacher", family, "--teacher_config", text, found=(value, remedy))


SETTINGS_FILES = [
    ("unknown field", "x.yaml", "hiden_size: 3", "'hiden_size', which is no flag", "did you mean 'hidden_size'?"),
    ("unlike any field", "x.yaml", "xyz: 3", "'xyz', which is no flag", "--help lists the flags"),
    ("a number as field", "x.yaml", "1: 2", "sets 1, which is no flag", "--help lists the flags"),
    ("unknown field in JSON", "x.json", '{"alhpa": 1}', "'alhpa', which is no flag", "did you mean 'alpha'?"),
    ("a field twice", "x.yaml", "alpha: 1\nbeta: 1\nalpha: 2", "sets 'alpha' twice", "keep one of them"),
    ("a field twice in JSON", "x.json", '{"alpha": 1, "alpha": 2}', "sets 'alpha' twice", "keep one of them"),
    ("a list", "x.yaml", "- alpha\n- 1", "x.yaml'", "expected a mapping of flags to values, such as 'alpha: 2'"),
    ("one word", "x.yaml", "alpha", "x.yaml'", "expected a mapping of flags to values"),
    ("no YAML", "x.yaml", "alpha: [1", "x.yaml' is no YAML", "line 1"),
    ("a tab", "x.yaml", "alpha:\n\t1", "x.yaml' is no YAML", "line 2"),
    ("two documents", "x.yaml", "alpha: 1\n---\nbeta: 1", "is no YAML", "expected a single document"),
    ("code", "x.yaml", "alpha: !!python/object/apply:os.getcwd []", "is no YAML", "line 1, column 8"),
    ("no JSON", "x.json", "{alpha: 1}", "x.json' is no JSON", "line 1 column 2"),
    ("empty JSON", "x.json", "", "x.json' is no JSON", "Expecting value"),
    ("latin-1", "x.yaml", "# größe".encode("latin-1"), "x.yaml' is no text in UTF-8", "save it as UTF-8"),
    ("words for a number", "x.yaml", "alpha: high", "invalid float value: 'high'", "--help lists the flags"),
    ("a mapping for a number", "x.yaml", "alpha: {a: 1}", "invalid float value", "--help lists the flags"),
    ("a date for a number", "x.yaml", "seed: 2020-01-12", "invalid int value: '2020-01-12'", "--help lists"),
    ("not a number", "x.yaml", "learning_rate: .nan", "--learning_rate nan", "expected a number above 0"),
    ("no such choice", "x.yaml", "architecture: cnn", "--architecture 'cnn'", "expected one of two_branch"),
    ("another settings file", "x.yaml", "config: y.yaml", "sets 'config'", "merge the two"),
]


@pytest.mark.parametrize(
    ("name", "content", "value", "remedy"),
    [pytest.param(*case, id=f"S{n}-{name.replace(' ', '-')}") for n, (name, *case) in enumerate(SETTINGS_FILES, 70)],
)
def test_a_settings_file(name, content, value, remedy, refused, work):
    refused("distill.py", "--config", write(content, work / name), found=(value, remedy))


def test_no_settings_file(refused, work):
    refused("distill.py", "--config", work, found=(f"{str(work)!r} is no file", "give a YAML or JSON file"))
    refused("evaluate.py", "--config", work / "no.yaml", found=("no.yaml' is no file", "give a YAML or JSON file"))
    refused("train_teacher.py", "--config", found=("--config: expected one argument", "--help lists"))
