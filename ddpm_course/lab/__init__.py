"""What runs the course rather than teaching it: commands, checkpoints, measurements."""
