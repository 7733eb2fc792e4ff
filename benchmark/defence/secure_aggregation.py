"""Secure aggregation, simulated: the server sees sums alone, and its keys and masks have a size.

Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017, section 7: of n
clients each sends and receives, together, 2n public keys and 5n - 4 shares of 256 bits, m masked numbers of
ceil(log2(n (2^b - 1) + 1)) bits, and a list of n bits; all of it counts as sent. The sum is what it would be without
masks, so the arithmetic of a run does not change; numbers are in fixed point, of 32 bits unless --message-bits says
fewer.
"""

from math import ceil, log2

KEYS_AND_SHARES = "keys and shares"
"""The name in a round's bytes of what secure aggregation adds to messages."""
KEY_BITS = 256


def key_bytes(clients: int) -> int:
    """Return the bytes of keys, shares and list that each of so many clients sends and receives in a round."""
    return ceil((KEY_BITS * (2 * clients + 5 * clients - 4) + clients) / 8)


def summed_bytes(numbers: int, clients: int, bits: int) -> int:
    """Return the bytes of so many masked numbers, wide enough for a sum over the clients."""
    return ceil(numbers * ceil(log2(clients * (2**bits - 1) + 1)) / 8)
