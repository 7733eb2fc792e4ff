"""Storage on disk: files, the folders of runs, checkpoints, and a check that all of it fits together."""
