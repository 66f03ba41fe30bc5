"""Tiny data and models, built from configurations; nothing here reaches the network."""

import logging
import os
import tempfile


os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="timedistill-tests-"))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import pytest
import torch
import transformers
from transformers import PatchTSTConfig, PatchTSTForPrediction, set_seed

from tests.undrawn import undrawn
from timedistill_hf import TimeDistillConfig, TimeDistillForPrediction
from timedistill_hf.data import SplitSpec, make_windows, synthetic_series
from timedistill_hf.models import (
    ModernTCNConfig,
    ModernTCNForPrediction,
    TimeMixerConfig,
    TimeMixerForPrediction,
    TimesNetConfig,
    TimesNetForPrediction,
)
from timedistill_hf.models.mean_prediction import InformerForMeanPrediction
from timedistill_hf.teachers import Teacher, get_family


LONGEST = (
    "test_fresh_process.py", "test_training.py", "test_scripts.py", "test_combination_run.py", "test_script.py",
    "test_export.py", "test_two_processes.py", "test_store.py", "test_nothing_is_lost.py",
    "test_contract.py", "test_table_run.py", "test_models.py", "test_docs.py", "test_cache_teacher.py",
    "test_interruption.py", "test_folding.py", "test_grid.py", "test_mutations.py",
)  # fmt: skip
CONTEXT, HORIZON, CHANNELS, WIDTH = 48, 16, 3, 16
DATA_DIR = Path(__file__).resolve().parents[2] / "shared" / "data"

needs_real_data = pytest.mark.skipif(not DATA_DIR.is_dir(), reason=f"no real data: {DATA_DIR} is absent")

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
transformers.utils.logging.disable_progress_bar()


def pytest_collection_modifyitems(items):
    """The files that take longest first, so that no worker begins one when the others are done."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(autouse=True)
def _seeded():
    set_seed(0)


@pytest.fixture(autouse=True)
def _plots_are_not_drawn(request):
    """But where a test asks for `drawn`, in tests/plots, and in fixtures of a module, such as a finished run."""
    if "drawn" in request.fixturenames:
        yield
    else:
        with undrawn():
            yield


@pytest.fixture
def drawn():
    """That plots are drawn in a test."""


@pytest.fixture(autouse=True)
def _logging_as_before():
    """The scripts set up logging for a process of their own."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), logging.getLogger("timedistill_hf").level
    yield
    root.handlers[:] = handlers
    logging.getLogger("timedistill_hf").setLevel(level)


@pytest.fixture(scope="session")
def data():
    """400 hours of 3 generated channels: 177 train, 65 validation and 65 test windows."""
    return make_windows(synthetic_series(400, CHANNELS), CONTEXT, HORIZON, SplitSpec(rows=(240, 80, 80)))


@pytest.fixture
def student_config():
    return TimeDistillConfig(
        context_length=CONTEXT, prediction_length=HORIZON, num_input_channels=CHANNELS, hidden_size=WIDTH
    )


@pytest.fixture
def student(student_config):
    return TimeDistillForPrediction(student_config)


def tiny_patchtst(**overrides) -> PatchTSTForPrediction:
    """An untrained PatchTST, six patches of eight steps."""
    settings = {
        "context_length": CONTEXT,
        "prediction_length": HORIZON,
        "num_input_channels": CHANNELS,
        "patch_length": 8,
        "patch_stride": 8,
        "d_model": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "ffn_dim": 16,
        "pooling_type": None,
    }
    return PatchTSTForPrediction(PatchTSTConfig(**(settings | overrides)))


def tiny_informer(look_back: int = CONTEXT, channels: int = CHANNELS, **overrides) -> InformerForMeanPrediction:
    """An untrained Informer without calendar features; direct with the default look-back."""
    settings = {
        "d_model": 8,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16,
    }
    family = get_family("informer")
    return InformerForMeanPrediction(family.config(look_back, HORIZON, channels, **(settings | overrides)))


def tiny_modern_tcn(**overrides) -> ModernTCNForPrediction:
    """An untrained ModernTCN, twelve patches of eight steps, four steps apart."""
    settings = {
        "context_length": CONTEXT,
        "prediction_length": HORIZON,
        "num_input_channels": CHANNELS,
        "d_model": 4,
        "large_kernel_size": 7,
        "small_kernel_size": 3,
    }
    return ModernTCNForPrediction(ModernTCNConfig(**(settings | overrides)))


def tiny_timesnet(**overrides) -> TimesNetForPrediction:
    """An untrained TimesNet of one block that folds by all periods: which of two is the stronger hangs on rounding."""
    settings = {
        "context_length": CONTEXT,
        "prediction_length": HORIZON,
        "num_input_channels": CHANNELS,
        "d_model": 4,
        "ffn_dim": 6,
        "num_hidden_layers": 1,
        "num_periods": (CONTEXT + HORIZON) // 2,
        "num_kernels": 2,
    }
    return TimesNetForPrediction(TimesNetConfig(**(settings | overrides)))


def tiny_time_mixer(**overrides) -> TimeMixerForPrediction:
    """An untrained TimeMixer of one block and three scales."""
    settings = {
        "context_length": CONTEXT,
        "prediction_length": HORIZON,
        "num_input_channels": CHANNELS,
        "d_model": 4,
        "ffn_dim": 6,
        "num_hidden_layers": 1,
        "num_scales": 2,
        "moving_average": 5,
    }
    return TimeMixerForPrediction(TimeMixerConfig(**(settings | overrides)))


def tiny_teacher(name: str) -> Teacher:
    """An untrained teacher of that family, deterministic."""
    set_seed(1)
    family = get_family(name)
    if name == "chronos":
        pytest.importorskip("chronos")
        config = family.config(CONTEXT, HORIZON, CHANNELS)
        return Teacher(family.class_of(config)(config), family)
    made = {
        "patchtst": tiny_patchtst, "informer": tiny_informer, "modern_tcn": tiny_modern_tcn,
        "timesnet": tiny_timesnet, "time_mixer": tiny_time_mixer,
    }  # fmt: skip
    if name in made:
        return Teacher(made[name](), family)
    common = {"num_attention_heads": 2, "num_hidden_layers": 1}
    sizes = {"itransformer": common | {"d_model": 8, "ffn_dim": 16}, "timesfm": {}, "timesfm2_5": {}}
    config = family.config(CONTEXT, HORIZON, CHANNELS, **sizes.get(name, {"d_model": 8}))
    return Teacher(family.model_class(config), family, HORIZON)


@pytest.fixture
def teacher():
    return tiny_teacher("itransformer")
