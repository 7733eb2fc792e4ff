"""The harness of the benchmark: it knows no method and no dataset by name."""

__version__ = "0.1.0"
