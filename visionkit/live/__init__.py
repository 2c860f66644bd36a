"""A training, seen while it runs."""
