"""Tuning: the space of each method, its trials, and the choice among them on validation samples."""
