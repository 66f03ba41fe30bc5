"""What `timedistill VERB` and `scripts/*.py` do: read flags, call the library once, print what it gives."""
