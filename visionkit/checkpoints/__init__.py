"""Checkpoints: everything that a training is, at the end of a batch, in one file."""
