"""FLOPs, seconds, memory, and where a run took place."""
