"""Arguments, trainers and recipes."""
