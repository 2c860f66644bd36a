"""Trainings logged to the trackers that people have."""
