"""A grid becomes results."""
