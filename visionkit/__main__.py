"""`python -m visionkit` is the same as `visionkit`."""

from visionkit.cli import main

main()
