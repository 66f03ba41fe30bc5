"""Names of other libraries that are no documented part of them: a test each, which says what broke.

CONTRIBUTING.md lists the same names, and why each is used.
"""

import inspect
import json
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch
from transformers import Trainer

from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction


# name: how it is called (its parameters, by position), and what no longer works without it
NAMES = {
    "transformers.Trainer._save_checkpoint": (
        "self model trial",
        "what a full disk cut off is not removed",
    ),
    "transformers.Trainer._save": (
        "self output_dir state_dict",
        "a pickle stays in what is published",
    ),
    "transformers.Trainer._get_output_dir": ("self trial", "the folder of a checkpoint is not known"),
    "transformers.Trainer._load_optimizer_and_scheduler": (
        "self checkpoint",
        "a damaged optimizer is no single line",
    ),
    "transformers.Trainer._save_optimizer_and_scheduler": ("self output_dir", "the regressor is not in checkpoints"),
    "transformers.Trainer._load_rng_state": ("self checkpoint", "a damaged random state is no single line"),
    "transformers.Trainer._prepare_inputs": ("self inputs", "evaluation does not move its batches to the device"),
    "transformers.Pipeline.run_single": (
        "self inputs preprocess_params forward_params postprocess_params",
        "the pipeline cannot run one input",
    ),
    "transformers.dynamic_module_utils.get_relative_import_files": (
        "module_file",
        "publishing does not know which code a file needs",
    ),
    "transformers.dynamic_module_utils.get_class_from_dynamic_module": (
        "class_reference pretrained_model_name_or_path",
        "trust_remote_code does not load a teacher's class",
    ),
    "transformers.utils.cached_file": ("path_or_repo_id filename", "a model's header is not read before its weights"),
    "transformers.utils.can_return_tuple": ("func", "models cannot give tuples"),
    "transformers.initialization": (None, "new models have no initial weights"),
    "transformers.AutoModelForTimeSeriesPrediction._model_mapping": (
        None,
        "a teacher of no known family is not found by its configuration",
    ),
    "transformers.PreTrainedModel._auto_class": (None, "cards do not say that a model's code travels with it"),
    "transformers.PreTrainedModel._keys_to_ignore_on_save": (None, "the regressor is saved with the student"),
    "transformers.trainer.TRAINER_STATE_NAME": (None, "checkpoints are not found"),
    "transformers.trainer.TRAINING_ARGS_NAME": (None, "a pickle stays in what is published"),
    "transformers.trainer_utils.PREFIX_CHECKPOINT_DIR": (None, "checkpoints are not found"),
    "transformers.integrations.get_available_reporting_integrations": ("", "report_to='all' is not checked"),
    "datasets.info.DatasetInfosDict": (None, "a published data set has no description of its columns"),
    "datasets.utils.metadata.MetadataConfigs": (None, "a published data set has no configurations"),
    "torch.nn.modules.module.register_module_parameter_registration_hook": (
        "hook",
        "a configuration of a size that its weights do not have is not refused before memory is taken",
    ),
}


def found(name: str) -> object:
    """The object of a dotted name: a module, or an attribute of one or of its class."""
    path, rest = name, []
    while path:
        try:
            value = import_module(path)
            break
        except ImportError:
            path, _, last = path.rpartition(".")
            rest.insert(0, last)
    for part in rest:
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("name", NAMES)
def test_it_is_there_and_called_as_before(name):
    parameters, without = NAMES[name]
    try:
        value = found(name)
    except AttributeError:
        pytest.fail(f"{name} is gone: {without}")
    if parameters is not None:
        given = list(inspect.signature(value).parameters)
        wanted = parameters.split()
        assert given[: len(wanted)] == wanted, f"{name} is called otherwise: {without}"


def test_keys_that_are_not_to_be_saved_are_not(tmp_path):
    model = TimeDistillForPrediction(TimeDistillConfig(context_length=16, prediction_length=4, hidden_size=4))
    model.add_module("extra", torch.nn.Linear(1, 1))
    model._keys_to_ignore_on_save = {"extra.weight", "extra.bias"}
    model.save_pretrained(tmp_path)
    _, report = TimeDistillForPrediction.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["unexpected_keys"], "the regressor is saved with the student"


def test_the_commit_of_a_configuration_is_not_saved(tmp_path):
    config = TimeDistillConfig(context_length=16, prediction_length=4)
    config._commit_hash = "0" * 40
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert "_commit_hash" not in saved, "config.json holds the commit that its model was read from"


def test_a_scheduler_of_ones_own_is_taken_off_after_training():
    """`_created_lr_scheduler`: without it a second `train()` would go on with the first one's schedule."""
    assert "self._created_lr_scheduler = False" in inspect.getsource(Trainer), "a second train() keeps the schedule"


def test_the_pipeline_keeps_its_parameters():
    """`_preprocess_params` and `_batch_size`, which the pipeline's own `__call__` reads."""
    from transformers import pipeline

    model = TimeDistillForPrediction(TimeDistillConfig(context_length=16, prediction_length=4, hidden_size=4))
    made = pipeline("time-series-forecasting", model=model, batch_size=3, scaling="history")
    assert made._batch_size == 3, "batch_size of pipeline(...) is lost"
    assert made._preprocess_params == {"scaling": "history"}, "settings of pipeline(...) are lost"


def test_hooks_of_the_trainer_are_called_by_the_trainer():
    """An override of a method that nothing calls any more would change nothing, silently."""
    source = inspect.getsource(Trainer)
    for name in (each.rsplit(".", 1)[1] for each in NAMES if each.startswith("transformers.Trainer._")):
        assert f"self.{name}(" in source, f"the Trainer does not call {name}"


def test_the_document_lists_them_all():
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("## Private names")[1].split("\n## ")[0]
    listed = set(re.findall(r"^\| `([\w.]+)`", table, re.MULTILINE))
    assert listed == set(NAMES) | {
        "transformers.Pipeline._batch_size",
        "transformers.Pipeline._preprocess_params",
        "transformers.PreTrainedConfig._commit_hash",
        "transformers.Trainer._created_lr_scheduler",
    }
