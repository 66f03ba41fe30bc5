"""The console command: `timedistill VERB --flag value`."""

import os
import sys
from dataclasses import dataclass
from importlib import import_module

from .._utils.errors import InputError, did_you_mean
from .parsing import run_script


@dataclass(frozen=True)
class Command:
    """One verb.

    Args:
        group: under which `timedistill --help` lists it.
        title: what it does, on one line.
        place: module of `cli.commands` and the function there.
        more: what else its `--help` says.
    """

    group: str
    title: str
    place: str
    more: str = ""

    def run(self) -> None:
        """With the flags of `sys.argv`."""
        module, name = self.place.split(".")
        getattr(import_module(f"timedistill_hf.cli.commands.{module}"), name)(f"{self.title}\n{self.more}".strip())


COMMANDS = {
    "distill": Command(
        "Distil",
        "Distil a teacher into a small student: train, choose on validation, score, save.",
        "distilling.distill",
        "On several processes: accelerate launch scripts/distill.py with the same flags. A run that was interrupted\n"
        "goes on when the command is given again.",
    ),
    "train-teacher": Command("Distil", "Train a teacher of a known family and score it.", "distilling.train_teacher"),
    "cache-teacher": Command(
        "Distil",
        "Store a teacher's forecasts and features ahead of distillation.",
        "distilling.cache_teacher",
        "Takes the flags of distill, whose run then finds what was stored; --signal_dir says where.",
    ),
    "write-forecasts": Command(
        "Distil", "Write a teacher's forecasts to a table, a teacher by itself.", "distilling.write_forecasts"
    ),
    "forecast": Command(
        "Forecast",
        "Forecast a table with a saved model.",
        "forecasting.forecast",
        "The output has the input's columns, ids and order. Every series is forecast from its own last timestamp;\n"
        "only the last look-back counts, and a shorter history is filled up with missing steps in front. A\n"
        "student that is free of its channels forecasts series that it has never seen, too.",
    ),
    "fleet": Command(
        "Forecast",
        "Forecast more series than memory holds, Parquet to Parquet.",
        "forecasting.fleet",
        "The input is a long table (ids, timestamps, values) in one .parquet file or a folder of them; the rows of a\n"
        "series are together. Under accelerate launch each process forecasts a share of the series.",
    ),
    "backtest": Command(
        "Forecast",
        "Forecast from many past cutoffs and score the forecasts.",
        "forecasting.backtest",
        "Forecasts, truth and the seasonal naive forecast go to --output; the metrics to a .json of that name.",
    ),
    "evaluate": Command("Forecast", "Score a saved model on all test windows.", "forecasting.evaluate"),
    "export": Command(
        "Forecast",
        "Export a student to ONNX.",
        "forecasting.export",
        "The graph takes past_values [batch, look-back, channels], NaN where missing, and gives prediction_outputs\n"
        "[batch, horizon, channels]: docs/onnx.md.",
    ),
    "plot": Command("Forecast", "Draw the plots of a finished run again.", "forecasting.plot"),
    "push": Command(
        "Share",
        "Publish a finished model on the Hub.",
        "sharing.push",
        "Log in first (hf auth login), or set HF_TOKEN.",
    ),
    "push-dataset": Command(
        "Share",
        "Host a series on the Hub.",
        "sharing.push_dataset",
        "Log in first (hf auth login), or set HF_TOKEN. Other configurations of the repository are kept.",
    ),
}


def main(verb: str | None = None) -> None:
    """Run a verb: that of the command line, or the one that a script stands for."""
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # plain lines where nobody watches
    run_script(_run if verb is None else COMMANDS[verb].run)


def _run() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "--help-all", "help"):
        print(overview())
        return
    if arguments[0] == "--version":
        print(_version())
        return
    verb = arguments[0].replace("_", "-")
    if verb not in COMMANDS:
        nearest = did_you_mean(verb, COMMANDS, otherwise="; timedistill --help lists them")
        raise InputError(f"{arguments[0]!r} is no command{nearest}")
    sys.argv = [f"timedistill {verb}", *arguments[1:]]
    COMMANDS[verb].run()


def _version() -> str:
    from timedistill_hf import __version__

    return __version__


def overview() -> str:
    """All verbs, by group."""
    lines = ["usage: timedistill COMMAND [--FLAG VALUE ...]", ""]
    for group in dict.fromkeys(command.group for command in COMMANDS.values()):
        lines.append(f"{group}:")
        lines += [f"  {verb:<16} {each.title}" for verb, each in COMMANDS.items() if each.group == group]
        lines.append("")
    lines.append("timedistill COMMAND --help shows its main flags, --help-all all of them.")
    return "\n".join(lines)
