#!/usr/bin/env python
"""Publish a finished student or teacher on the Hub, in one commit: weights, configuration, code, processor, card.

Of a run's folder that is the student, with its plots and results.json; its teacher is in the folder teacher below.
Log in first (hf auth login), or set HF_TOKEN.
"""

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.hub import PushModelSettings


def main() -> None:
    (settings,) = parse((PushModelSettings,), description=__doc__)

    from timedistill_hf.cli.logging import set_up_logging
    from timedistill_hf.hub import publish

    set_up_logging()
    where = {"private": settings.private or None, "revision": settings.revision}
    commit = publish(settings.folder, settings.repo_id, license=settings.license, **where)
    print(commit.repo_url)


if __name__ == "__main__":
    run_script(main)
