"""Measurements of a run: FLOPs, seconds, memory, and its environment."""
