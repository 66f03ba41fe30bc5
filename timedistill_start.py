"""Imported by the scripts before `timedistill_hf`: flags are read, and `--help` is answered, without torch.

Who writes `import timedistill_hf` gets its models registered with transformers at once, which takes seconds. On the
command line `timedistill_hf.cli.parsing.parse` does that, when all flags can be read. That this module is loaded is
what tells the two apart.
"""
