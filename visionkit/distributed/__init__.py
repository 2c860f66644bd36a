"""Trainings by several processes, on one machine or many, on PyTorch's own distributed engine."""
