"""Upkeep of this repository: pages on methods, timings of the code. Not in the wheel."""
