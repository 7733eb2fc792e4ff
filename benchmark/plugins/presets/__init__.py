"""Named experiments: each file is a set of defaults for `run`, overridden by options."""
