"""Errors for people: one line that names the value, what was expected and the remedy."""


class InputError(ValueError):
    """A setting, file or model that cannot be used as given. Scripts print it on one line and end with exit code 2."""
