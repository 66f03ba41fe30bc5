"""The entry of the command line, for `timedistill` and `scripts/*.py`: flags are read before torch is imported.

Who writes `import timedistill_hf` gets its models registered with transformers at once, which takes seconds. On the
command line `timedistill_hf.cli.parsing` does that, when all flags can be read. That this module is loaded is what
tells the two apart.
"""


def main(verb: str | None = None) -> None:
    """Run `timedistill VERB`; `verb` is given by the scripts."""
    from timedistill_hf.cli.main import main

    main(verb)
