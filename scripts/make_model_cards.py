#!/usr/bin/env python
"""Write the cards of the students behind the results, from benchmarks/results into model_cards, and the example's.

Made again from the same results they are the same, byte for byte.
"""

from pathlib import Path

import timedistill_start  # noqa: F401  flags are read before torch is imported
from timedistill_hf.cli.parsing import parse, run_script
from timedistill_hf.settings.outputs import CardSettings


def main() -> None:
    (settings,) = parse((CardSettings,), description=__doc__)

    from timedistill_hf.cards.example import FOLDER, example_card
    from timedistill_hf.cards.family import write_family_cards

    for path in write_family_cards(settings.results_dir, settings.output_dir):
        print(path)
    path = Path(settings.root) / FOLDER / "README.md"
    if path.is_file():
        example_card(settings.root).save(path)
        print(path)


if __name__ == "__main__":
    run_script(main)
