"""Timings of the code itself."""
