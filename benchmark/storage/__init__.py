"""What is on disk: files, what a run's folder holds, checkpoints, and whether all of it fits together."""
