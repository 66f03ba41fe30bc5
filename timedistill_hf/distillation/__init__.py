"""The main job: teachers, their signal, students, scores."""
