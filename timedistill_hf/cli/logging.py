"""One look for the scripts' logs."""

import logging

import transformers
from transformers import TrainingArguments


def set_up_logging(args: TrainingArguments | None = None) -> None:
    """Messages of the package on the main process; warnings of all; progress bars of loading weights hidden."""
    is_main = args is None or args.process_index == 0
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    logging.getLogger("timedistill_hf").setLevel(logging.INFO if is_main else logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    if not is_main:
        transformers.utils.logging.set_verbosity_error()
