"""A saved model of someone else's: nothing of it is trusted before it was looked at.

Its `config.json` is read within limits and handed to the class that its `model_type` names; its weights are
safetensors only, and their header is compared with what the configuration would build before anything is allocated.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from torch.nn.modules import module as registration
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from .errors import InputError, did_you_mean, first_line
from .files import read_object
from .hub import hub_reason


CONFIG = "config.json"
CONFIG_REMEDY = "give the folder or Hub id of a trained model"
_WEIGHTS_REMEDY = "expected the safetensors file that was saved with its config.json"
_HUB_OPTIONS = ("token", "cache_dir", "local_files_only", "force_download")
# what a model may register beyond what its file holds: tied weights, fixed positions
_PRECISIONS = ("float32", "float16", "bfloat16", "float64")
_LENGTHS = ("context_length", "prediction_length", "moving_average", "patch_length", "patch_stride", "period")
_LONGEST_NAME = 200  # characters; a file's name has 255 bytes at most
_LONGEST, _LARGEST = 100_000, 10_000_000
_MORE_VALUES, _MORE_TENSORS, _SPARE_VALUES, _SPARE_TENSORS = 4, 4, 2**20, 256


def hub_options(kwargs: dict) -> dict:
    """Those of a model's `from_pretrained` that say how the Hub is asked: its configuration is read alike."""
    return {name: kwargs[name] for name in _HUB_OPTIONS if name in kwargs}


def commit_of(
    name_or_path: str, problem: str, revision: str | None = None, known: tuple[str, ...] = (), **options
) -> str | None:
    """The commit that a Hub model is at, so that all of it is read from there; of a folder, `revision` as it is.

    `known` are names that may have been meant, `options` those of [`hub_options`].

    Raises:
        InputError: there is no such model, or it may not be read; it begins with `problem`.
    """
    from huggingface_hub import hf_hub_download

    path = Path(name_or_path)
    if path.is_dir() and (path / CONFIG).is_file():
        return revision
    if path.is_dir():
        raise InputError(f"{problem}: it holds no config.json; {CONFIG_REMEDY}")
    if path.is_file():
        raise InputError(f"{problem}: it is a file; {CONFIG_REMEDY}")
    if path.is_absolute() or len(path.parts) > 2 or name_or_path.startswith((".", "~")):
        raise InputError(f"{problem}: there is no such folder; {CONFIG_REMEDY}")
    try:
        return Path(hf_hub_download(name_or_path, CONFIG, revision=revision, **options)).parent.name
    except Exception as error:
        reason = hub_reason(error, name_or_path, "model", revision, options.get("token"))
        if reason is None and not isinstance(error, (OSError, ValueError)):
            raise
        nearest = did_you_mean(name_or_path, known, "" if reason else f"; {CONFIG_REMEDY}")
        raise InputError(f"{problem}: {reason or first_line(error)}{nearest}") from error


def read_config(
    name_or_path: str,
    problem: str,
    revision: str | None = None,
    trust_remote_code: bool = False,
    register: Callable[[str], object] = str,
    **options,
) -> PreTrainedConfig:
    """The configuration of a folder or Hub model at that commit; an [`InputError`] where it is not valid.

    Code that comes with the model is only looked for where it is trusted. `register` is called with the `model_type`
    first: it may make transformers know it.
    """
    try:
        content = read_object(cached_file(name_or_path, CONFIG, revision=revision, **options))
        check_config(content)
        register(content["model_type"])
        if content["model_type"] not in CONFIG_MAPPING or (trust_remote_code and content.get("auto_map")):
            options |= {"revision": revision, "trust_remote_code": trust_remote_code}
            return AutoConfig.from_pretrained(name_or_path, **options)
        config_class = CONFIG_MAPPING[content["model_type"]]
        check_names(content, config_class)
        with _quiet():
            config = config_class.from_dict(content)
            config.to_dict()
    except Exception as error:  # whatever a configuration of someone else's may end in
        reason = hub_reason(error, name_or_path, "model", revision, options.get("token"))
        raise InputError(f"{problem}: {reason or first_line(error)}; {CONFIG_REMEDY}") from error
    config.name_or_path = name_or_path
    config._commit_hash = revision
    return config


def load_weights(
    model_class: type[PreTrainedModel],
    name_or_path: str,
    revision: str | None = None,
    config: PreTrainedConfig | None = None,
    **kwargs,
):
    """`from_pretrained` with safetensors only; an [`InputError`] where they are not exactly that model's weights.

    transformers would fill in weights that lack with random ones, and leave out those that it does not know.

    Args:
        config: that of [`read_config`]; read from there where `None`.
    """
    problem = f"the weights of {str(name_or_path)!r} cannot be loaded as {model_class.__name__}"
    checks = {"use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
    kwargs = {"dtype": "float32"} | kwargs | checks
    options = hub_options(kwargs)
    if config is None:
        config = read_config(str(name_or_path), problem, revision, **options)
    try:
        with _quiet():
            shapes = _shapes(str(name_or_path), revision, options)
            if shapes:
                check_size(lambda: model_class(config), shapes)
            model, report = model_class.from_pretrained(name_or_path, revision=revision, config=config, **kwargs)
    except InputError as error:
        raise InputError(f"{problem}: {error}; {_WEIGHTS_REMEDY}") from error
    except Exception as error:  # as above
        reason = hub_reason(error, str(name_or_path), "model", revision, kwargs.get("token"))
        if reason is not None:
            raise InputError(f"{problem}: {reason}") from error
        said = f"{first_line(error)}; {_WEIGHTS_REMEDY} (pickled weights are not read)"
        raise InputError(f"{problem}: {said}") from error
    for name, found, wanted in sorted(report["mismatched_keys"]):
        raise InputError(f"{problem}: {name!r} is of shape {tuple(found)}, not {tuple(wanted)}; {_WEIGHTS_REMEDY}")
    for kind, what in (("missing_keys", "lack"), ("unexpected_keys", "hold more than that model has,")):
        for name in sorted(report[kind]):
            raise InputError(f"{problem}: they {what} {name!r}; {_WEIGHTS_REMEDY}")
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not value.is_meta and not value.isfinite().all():
            raise InputError(f"{problem}: {name!r} holds NaN or infinite values; train the model anew")
    return model


def check_size(build: Callable[[], nn.Module], shapes: dict[str, list[int]]) -> None:
    """Raise an [`InputError`] where what `build` makes is far larger than a file with tensors of these shapes.

    It is built on the `meta` device, where weights take no memory, and left as soon as it is too large.
    """
    values = sum(torch.Size(shape).numel() for shape in shapes.values())
    most_values = _MORE_VALUES * values + _SPARE_VALUES
    most_modules = _MORE_TENSORS * len(shapes) + _SPARE_TENSORS
    found_values = found_modules = 0

    def count_values(module: nn.Module, name: str, tensor: torch.Tensor | None) -> None:
        nonlocal found_values
        found_values += 0 if tensor is None else tensor.numel()
        if found_values > most_values:
            raise InputError(f"config.json describes more than {most_values:,} values, the file holds {values:,}")

    def count_modules(module: nn.Module, name: str, part: nn.Module | None) -> None:
        nonlocal found_modules
        found_modules += 1
        if found_modules > most_modules:
            raise InputError(
                f"config.json describes more than {most_modules:,} modules, the file holds {len(shapes):,} tensors"
            )

    hooks = [
        registration.register_module_parameter_registration_hook(count_values),
        registration.register_module_buffer_registration_hook(count_values),
        registration.register_module_module_registration_hook(count_modules),
    ]
    try:
        with torch.device("meta"):
            build()
    finally:
        for hook in hooks:
            hook.remove()


def _shapes(name_or_path: str, revision: str | None, options: dict) -> dict[str, list[int]]:
    """The shapes of all saved tensors, from the files' headers alone; nothing where there are no such files."""

    def find(name: str) -> str | None:
        found = {"_raise_exceptions_for_missing_entries": False, "revision": revision}
        return cached_file(name_or_path, name, **found, **options)

    files = [find(SAFE_WEIGHTS_NAME)]
    if files == [None]:
        index = find(SAFE_WEIGHTS_INDEX_NAME)
        names = set(read_object(index)["weight_map"].values()) if index is not None else ()
        files = [find(name) for name in names if Path(name).name == name]
    shapes = {}
    for file in filter(None, files):
        with safe_open(file, framework="pt") as tensors:
            shapes |= {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    return shapes


@contextmanager
def as_input_error(problem: str) -> Iterator[None]:
    """Say on one line what a model of someone else's ended in."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{problem}: {first_line(error)}; {CONFIG_REMEDY}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide transformers' reports of what does not fit, which are many lines; the first of them is raised."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def check_config(content: dict) -> None:
    """Raise a `ValueError` where what every configuration may hold is of another kind than transformers expects."""
    model_type = content.get("model_type")
    if not isinstance(model_type, str):
        raise ValueError(f"config.json has model_type={model_type!r}, expected the name of a model's type")
    architectures = content.get("architectures")
    if architectures is not None and not _is_list_of(architectures, str):
        raise ValueError(f"config.json has architectures={architectures!r}, expected a list of names")
    check_references(content)
    for name in ("dtype", "torch_dtype"):
        dtype = content.get(name)
        if dtype is not None and str(dtype).removeprefix("torch.") not in _PRECISIONS:
            raise ValueError(f"config.json has {name}={dtype!r}, expected one of {', '.join(_PRECISIONS)}")
    for name in ("quantization_config", "compression_config"):
        if content.get(name) is not None:
            raise ValueError(f"config.json has a {name}: quantised weights are not read")
    for name, value in _numbers(content):
        if abs(value) > (_LONGEST if name in _LENGTHS else _LARGEST):
            raise ValueError(f"config.json has {name}={value:.6g}, more than any model that is read here")


def _numbers(content: object, name: str = "") -> Iterator[tuple[str, int]]:
    """All whole numbers, by the name of the field that they lie in."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _numbers(value, key)
    elif isinstance(content, list):
        for value in content:
            yield from _numbers(value, name)
    elif isinstance(content, int):
        yield name, content


def check_references(content: dict) -> None:
    """Raise a `ValueError` where what names code is of another kind than transformers expects."""
    auto_map = content.get("auto_map")
    if auto_map is not None and not (
        isinstance(auto_map, dict) and all(map(_is_class_name, chain.from_iterable(map(_listed, auto_map.values()))))
    ):
        raise ValueError(f"auto_map={auto_map!r}, expected names of classes")
    pipelines = content.get("custom_pipelines")
    if pipelines is not None and not (
        isinstance(pipelines, dict)
        and all(isinstance(task, dict) and isinstance(task.get("impl"), str) for task in pipelines.values())
        and all(_is_class_name(task["impl"]) for task in pipelines.values())
    ):
        raise ValueError(f"custom_pipelines={pipelines!r}, expected an 'impl' for each task")


def check_names(content: dict, config_class: type[PreTrainedConfig]) -> None:
    """Raise a `ValueError` where a field would take the place of one of the configuration's methods."""
    for name in content:
        if name.startswith("__") or callable(getattr(config_class, name, None)):
            raise ValueError(f"config.json sets {name!r}, which is no field of {config_class.__name__}")


def _listed(value: object) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value or 0]


def _is_class_name(value: object) -> bool:
    """Whether it can be a module and a class in it, or the absence of one: the module becomes a file's name."""
    return value is None or (isinstance(value, str) and len(value) <= _LONGEST_NAME and value.isprintable())


def _is_list_of(value: object, kinds: type | tuple[type, ...]) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, kinds) for item in value)
