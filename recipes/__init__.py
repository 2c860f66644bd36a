"""visionkit's recipes: one file each."""
