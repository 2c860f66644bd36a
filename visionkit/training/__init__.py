"""From DataLoaders to a trained network."""
