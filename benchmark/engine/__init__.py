"""Engines: ways to train and evaluate clients, one file each, and what they share."""
