"""Trained models, outside of their training."""
