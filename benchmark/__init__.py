"""The harness of the benchmark: federated learning of any method on any data set, its measurements and its reports.

It knows no method and no data set by name: plugins find them by the names that users type, and the defaults of the
command line stand in the preset `demo`.
"""

__version__ = "0.1.0"
