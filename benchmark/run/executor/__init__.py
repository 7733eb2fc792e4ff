"""Execute several runs of a grid at a time."""
