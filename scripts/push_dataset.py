#!/usr/bin/env python
"""Host a series on the Hub: a .csv or .parquet file, or a benchmark, as one configuration of a data set, in Parquet.

All rows go into the split train, in order of time; the card says which of them are for training, validation and test.
Other configurations of the repository are kept. Log in first (hf auth login), or set HF_TOKEN.
"""

import dataclasses

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.hub import PushDatasetSettings


def main() -> None:
    (settings,) = parse((PushDatasetSettings,), description=__doc__)

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.hub import publish_series

    set_up_logging()
    options = dataclasses.asdict(settings)
    del options["config"]
    options["private"] = settings.private or None  # what is there already keeps what it is
    print(publish_series(options.pop("dataset"), options.pop("repo_id"), **options).repo_url)


if __name__ == "__main__":
    run_script(main)
