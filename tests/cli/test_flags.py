import dataclasses
import os
import signal
import time
from typing import get_type_hints

import pytest

from timedistill_hf.cli.flags import DISTILL_TRAINING, FORECAST_TRAINING, flags_of
from timedistill_hf.cli.parsing import run_script
from timedistill_hf.settings.run import DataSettings


@pytest.mark.parametrize("kind", [FORECAST_TRAINING, DISTILL_TRAINING], ids=lambda kind: kind.name)
def test_flags_read_from_the_source_are_the_fields_of_the_class(kind):
    """Against the dataclass itself: the names in their order, defaults, helps and choices."""
    fields = {field.name: field for field in dataclasses.fields(kind.load()) if field.init}
    hints = get_type_hints(kind.load())  # what transformers' parser has made of field.type is its own
    flags = {flag.name: flag for flag in flags_of(kind)}
    assert list(flags) == list(fields)
    for name, field in fields.items():
        flag = flags[name]
        made = field.default_factory is not dataclasses.MISSING
        default = field.default_factory() if made else field.default
        if name != "optim" and not made:  # whose default is a name in the source
            assert flag.default == default, name
        assert flag.help == field.metadata.get("help", ""), name
        if flag.choices:  # in the source they may be a name
            assert list(flag.choices) == field.metadata["choices"], name
        assert flag.is_bool == (hints[name] in (bool, bool | None)), name
    assert flags["loss"].choices == ("mse", "mae")


def test_flags_of_a_light_class():
    flags = {flag.name: flag for flag in flags_of(DataSettings)}
    assert flags["context_length"].default == 720
    assert [flags[name].takes_list for name in ("target_columns", "missing_value", "dataset")] == [True, True, False]


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "stopped by Ctrl-C; "), (signal.SIGTERM, 143, "by SIGTERM; ")]
)
def test_a_script_that_is_stopped_says_so_in_one_line(number, code, said, capsys):
    def main():
        os.kill(os.getpid(), number)
        time.sleep(60)

    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as caught:
        run_script(main)
    assert caught.value.code == code
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert line.endswith("the same command goes on from what was saved")
    assert signal.getsignal(number) is before
