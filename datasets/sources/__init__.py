"""Named data sets: each file has a SOURCE."""
