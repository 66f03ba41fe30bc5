#!/usr/bin/env python
"""Write the cards of the students behind the results, from benchmarks/results into model_cards, and the example's.

Made again from the same results they are the same, byte for byte.
"""

import sys
from pathlib import Path

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.outputs import CardSettings


sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    (settings,) = parse((CardSettings,), description=__doc__)

    from benchmarks.model_cards import EXAMPLE, example_card, write_family_cards

    for path in write_family_cards(settings.results_dir, settings.output_dir):
        print(path)
    path = Path(settings.root) / EXAMPLE / "README.md"
    if path.is_file():
        example_card(settings.root).save(path)
        print(path)


if __name__ == "__main__":
    run_script(main)
