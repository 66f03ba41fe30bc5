"""The settings of the library and its commands, as dataclasses. Nothing heavy is imported here."""
