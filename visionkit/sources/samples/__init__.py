"""Small synthetic data sets, drawn on demand, in exactly the layout of the real ones."""
