"""Methods, data sets, partitions, shifts, line-ups and presets by name, and modules of the user's own."""
