"""What a `config.json` of someone else's may hold, before transformers is given it."""

from collections.abc import Iterator
from itertools import chain

from transformers import PreTrainedConfig


_PRECISIONS = ("float32", "float16", "bfloat16", "float64")
_LENGTHS = ("context_length", "prediction_length", "moving_average", "patch_length", "patch_stride", "period")
_LONGEST_NAME = 200  # characters; a file's name has 255 bytes at most
_LONGEST, _LARGEST = 100_000, 10_000_000


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
