"""Defences of messages, the same for every method: a fixed layout, clipping, noise, few bits, secure aggregation.

They are options of the channel: a method sends what it sends, and this is done to it on its way up.
"""
