"""What stored runs would take on other devices and links: computed from the rounds alone, nothing is run again.

A profile (profile.py, *.toml) is a device and its link. A workload (stored_work.py) is what the participants of a run's
rounds computed and sent. The clock (clock.py) puts both together; on it stand break-even bandwidths (break_even.py),
the fastest method over a grid of links and devices (fastest.py) and fleets of devices that differ (fleet.py).

All sizes are base units: seconds, bytes, bit/s, FLOPs, FLOP/s, joules; prefixes are decimal.
"""
