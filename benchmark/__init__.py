"""The harness of the benchmark: federated learning of any method on any data set, its measurements and its reports.

A registry finds methods and data sets by the names that users type; engines, the round loop and storage know none. The
exceptions: defaults and examples of the command line name a few, and Standalone is what reports compare the others with
and what the conformance suite trains on data sets and line-ups.
"""

__version__ = "0.1.0"
