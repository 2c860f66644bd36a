"""Images decoded once: brought to the size that trainings need, and kept on the disk as plain bytes."""
