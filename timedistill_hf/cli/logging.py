"""One look for the logs of the command line."""

import logging
import os
import sys

import transformers


def is_main_process() -> bool:
    """Whether this is the process that prints, of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def set_up_logging() -> None:
    """Messages of the package on the main process; warnings of all; progress bars of loading weights hidden."""
    handlers = [_terminal()] if sys.stderr.isatty() else None
    logging.basicConfig(format="%(message)s", level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("timedistill_hf").setLevel(logging.INFO if is_main_process() else logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    if not is_main_process():
        transformers.utils.logging.set_verbosity_error()


def _terminal() -> logging.Handler:
    from rich.console import Console
    from rich.logging import RichHandler

    console = Console(stderr=True)
    return RichHandler(console=console, show_time=False, show_level=False, show_path=False)
