"""Checks of every method, line-up and data set: one suite for those here and for user-defined ones."""
