"""The research harness: many runs of the main job from one file, for hours, and the document of their results."""
