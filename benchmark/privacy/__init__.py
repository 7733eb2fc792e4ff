"""Privacy: what the messages of a run give away, measured by the same attacks whatever the method.

An audit is an observer. It sees real messages, builds those of single records through the method's own hooks, and
compares. No attack knows a method.
"""
