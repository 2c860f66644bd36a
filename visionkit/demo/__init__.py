"""A model as a local web page."""
