"""One file a family of teachers."""
