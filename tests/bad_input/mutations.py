"""Random spoilt copies of a JSON file, the same ones for the same seed."""

import copy
import json
import random
from collections.abc import Iterator


ODD = (
    None, True, False, 0, 1, -1, 2, 7, 1.5, -0.0, 10**30, -(10**30), 2**31, 2**63, 10**8, 20_000, 1e308, 1e-308,
    float("inf"), float("-inf"), float("nan"), "", "x", "nan", "Infinity", "7", "\u0000", "../etc/passwd", "a" * 5000,
    "__class__", "\ud800", [], [None], [[]], [1, "a"], [0] * 3, [1e308] * 3, ["load_0"] * 3, {}, {"a": None},
    {"": {}}, [{}], [[[[]]]], {"architecture": "linear"}, [{"architecture": 3}], {"AutoConfig": None},
    {"AutoConfig": 3}, {"AutoConfig": ["a", 3]}, {"AutoModel": "x"}, {"quant_method": "bitsandbytes"},
    {"quant_method": 3}, {"load_in_4bit": True}, "bfloat16", "int8", "torch.float64", "float99", "timedistill",
    "patchtst", "bert", "llama", "t5", "chronos", "sdpa", "flash_attention_2", "relu", "mean", "revin", "H", "25h",
    "-1h", "Europe/Nowhere",
)  # fmt: skip
NAMES = (
    "auto_map", "dtype", "torch_dtype", "quantization_config", "model_type", "architectures", "context_length",
    "prediction_length", "num_hidden_layers", "members", "hidden_size", "custom_pipelines", "attn_implementation",
    "_attn_implementation", "id2label", "num_labels", "return_dict", "output_attentions", "output_hidden_states",
    "gguf_file", "base_model_tp_plan", "per_layer_config", "is_composition", "loss", "to_dict", "mean", "standardize",
    "sentinels", "problem_type", "transformers_version", "_commit_hash", "name_or_path", "use_return_dict",
    "__post_init__", "generation_config", "freq", "time_zone", "season", "missing_value", "chronos_config",
)  # fmt: skip


def mutations(content: dict, seed: int, count: int) -> Iterator[str]:
    """`count` texts, each the JSON of `content` with one to three things changed, or the text itself spoilt."""
    choose = random.Random(seed)
    for _ in range(count):
        text = json.dumps(_changed(content, choose, choose.choice((1, 1, 1, 2, 3))))
        yield _spoilt(text, choose) if choose.random() < 0.1 else text


def _changed(content: dict, choose: random.Random, times: int) -> dict:
    content = copy.deepcopy(content)
    for _ in range(times):
        place = content
        while True:
            key = choose.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not (isinstance(place[key], (dict, list)) and place[key] and choose.random() < 0.5):
                break
            place = place[key]
        how = choose.random()
        if how < 0.1:
            del place[key]
        elif how < 0.3 and isinstance(place, dict):
            place[choose.choice(NAMES)] = choose.choice(ODD)
        elif how < 0.4 and isinstance(place[key], (int, float)) and abs(place[key]) < 1e300:
            place[key] = choose.choice((place[key] * -1, place[key] + 1, place[key] * 1000, place[key] / 3))
        else:
            place[key] = choose.choice(ODD)
        if not content or not place:
            break
    return content


def _spoilt(text: str, choose: random.Random) -> str:
    at = choose.randrange(len(text))
    garbled = text[:at] + chr(choose.randrange(1, 0x500)) + text[at + 1 :]
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    long = text.replace("1", "9" * 6000, 1)
    return choose.choice((text[:at], garbled, "[" * 100_000, deep, long, "[]", "null", "3", f"[{text}]", text + text))
