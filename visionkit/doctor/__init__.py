"""What visionkit finds on this machine, and what of it is wrong: `visionkit doctor`."""
