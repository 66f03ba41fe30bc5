"""Teachers that transformers lacks, written after their papers; one folder each, a configuration and a model."""
