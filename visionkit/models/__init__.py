"""Bodies: architectures by name, and weights for them."""
