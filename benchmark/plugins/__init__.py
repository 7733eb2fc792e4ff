"""Methods, data sets, partitions, shifts, line-ups and presets by name, and user-defined modules."""
