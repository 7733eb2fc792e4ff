"""Predictions of what a run will cost, made before it begins."""
