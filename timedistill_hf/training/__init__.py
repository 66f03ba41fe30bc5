"""Arguments, trainers, stages and solutions in closed form."""
