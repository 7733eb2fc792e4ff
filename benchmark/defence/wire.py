"""What is done to an upload on its way: layout, clipping, noise, few bits, in this order; and the bytes that remain."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from benchmark.channel import ROW_INDEX_BYTES, Message, RoundNumber, Rows, Value, Wire
from benchmark.config import FederationConfig
from benchmark.defence.accounting import promise_of
from benchmark.defence.parts import additions, with_change
from benchmark.defence.secure_aggregation import KEYS_AND_SHARES, key_bytes, summed_bytes
from benchmark.seeds import torch_seeded

MOST_MEANS, MOST_DEVIATIONS = 6, 4
"""What few bits that are summed can stand for: so many times what a number is on average, and deviations of noise."""
SCALE_BYTES = 4
"""What goes before numbers of few bits: the size of the largest, as a float."""


def wire_of(config: FederationConfig, seed: int, t: RoundNumber, num_samples: Mapping[int, int]) -> Wire:
    """Return the wire of one round under the settings of a federation. num_samples: participants -> n_k"""
    return DefendedWire(config, seed, t, num_samples) if config.defended else Wire()


@dataclass(frozen=True)
class DefendedWire(Wire):
    """The wire of one round; a client's noise and fillers follow from seed, round and client."""

    config: FederationConfig
    seed: int
    round: RoundNumber
    num_samples: Mapping[int, int]

    def protected(self, client: int, message: Message, broadcast: Message) -> Message:
        """Return what travels in place of a message. Noise comes before few bits, which then cost no privacy."""
        config = self.config
        with torch_seeded("defence", seed=self.seed, client=client, round=self.round.round):
            if config.message_layout == "fixed":
                message = {name: _all_rows(value, broadcast.get(name)) for name, value in message.items()}
            if config.message_clip is not None:
                message = clipped(message, broadcast, config.message_clip)
            if config.dp_epsilon is not None:
                message = noisy(message, broadcast, self.deviation)
            if config.message_bits is not None:
                message = in_few_bits(message, broadcast, config.message_bits, self._largest(message, broadcast))
        return message

    @property
    def deviation(self) -> float:
        """The deviation of the noise in each number of a client's message.

        central: each participant adds its share, so that the sum, and the mean by numbers of samples, has noise as of
        one whole sigma for the client that weighs the most.
        """
        config = self.config
        promise = promise_of(config)
        whole = promise.sigma * config.message_clip if promise and config.message_clip else 0.0
        if config.dp_noise == "local":
            return whole
        weights = list(self.num_samples.values())
        return whole * max(weights) / sqrt(sum(n * n for n in weights))

    def _largest(self, message: Message, broadcast: Message) -> float | None:
        """The number that all clients' few bits are in proportion to, to be summed; None: each its own.

        Of m numbers with a norm of S together each is S / sqrt(m) long on average; what is much longer is cut off.
        """
        clip = self.config.message_clip
        if not self.config.secure_aggregation or clip is None:
            return None
        numbers = sum(part.numel() for part in additions(message, broadcast))
        return min(1.0, MOST_MEANS / sqrt(max(1, numbers))) * clip + MOST_DEVIATIONS * self.deviation

    def sizes(self, message: Message) -> dict[str, int | Tensor]:
        """Return the bytes by name of what travels; secure aggregation's keys are a name of their own."""
        if self.config.secure_aggregation:
            clients, bits = len(self.num_samples), self.config.message_bits or 32
            summed = {name: summed_bytes(_numbers(value), clients, bits) for name, value in message.items()}
            return {**summed, KEYS_AND_SHARES: key_bytes(clients)} if message else {}
        if self.config.message_bits is None:
            return super().sizes(message)
        return {name: self._few_bytes(value) for name, value in message.items()}

    def _few_bytes(self, value: Value) -> int | Tensor:
        bits = self.config.message_bits or 32
        if isinstance(value, Rows):
            width = -(-value.values[0].numel() * bits // 8)
            return value.present.sum() * (width + ROW_INDEX_BYTES) + SCALE_BYTES
        tensors = value.values() if isinstance(value, dict) else (value,)
        return sum(
            -(-tensor.numel() * bits // 8) + SCALE_BYTES if tensor.is_floating_point() else tensor.nbytes
            for tensor in tensors
        )


def clipped(message: Message, broadcast: Message, norm: float) -> Message:
    """Return a message no further from the broadcast than this, over all of its numbers together."""
    length = torch.stack([part.double().square().sum() for part in additions(message, broadcast)] or [torch.zeros(())])
    factor = (norm / length.sum().sqrt().clamp_min(1e-30)).clamp_max(1.0)
    return with_change(message, broadcast, lambda x, known: known + (x - known) * factor.to(x.dtype))


def noisy(message: Message, broadcast: Message, deviation: float) -> Message:
    """Return a message with Gaussian noise in every number; variances stay at least 0, which costs no privacy."""
    after = with_change(message, broadcast, lambda x, known: x + deviation * torch.randn_like(x))
    return {name: _with_variances(value) for name, value in after.items()}


def _with_variances(value: Value) -> Value:
    """Return weights whose running variances are at least 0: networks take their root."""
    if not isinstance(value, dict):
        return value
    return {name: x.clamp_min(0) if name.endswith("running_var") else x for name, x in value.items()}


def in_few_bits(message: Message, broadcast: Message, bits: int, largest: float | None) -> Message:
    """Return a message whose differences from the broadcast are whole multiples of a step, 2^bits - 1 of them at most.

    largest: the difference that the last multiple stands for; None: each tensor's largest one
    """
    levels = 2 ** (bits - 1) - 1

    def rounded(x: Tensor, known: Tensor) -> Tensor:
        step = ((x - known).abs().amax() if largest is None else x.new_tensor(largest)).clamp_min(1e-30) / levels
        return known + ((x - known) / step).round().clamp(-levels, levels) * step

    return with_change(message, broadcast, lambda x, known: rounded(x, known) if x.numel() else x)


def _all_rows(value: Value, known: Value | None) -> Value:
    """Return a table without absent rows: they become the broadcast's, or else the mean of those present, with noise
    of the size in which present rows differ from it. A copy of the broadcast's would stand out.
    """
    if not isinstance(value, Rows):
        return value
    there = value.present.any()
    base = (value.values[value.present].mean(0) if there else value.values[0] * 0).expand_as(value.values)
    if isinstance(known, Rows) and known.values.shape == value.values.shape:
        base = torch.where(known.present[:, None], known.values, base)
    deviation = (value.values - base)[value.present].std(unbiased=False) if there else 0.0
    filler = base + deviation * torch.randn_like(value.values)
    return Rows(torch.where(value.present[:, None], value.values, filler), torch.ones_like(value.present))


def _numbers(value: Value) -> int:
    """Return how many numbers of a value are summed; of a table all rows, and which of them are present."""
    if isinstance(value, Rows):
        return value.values.numel() + value.present.numel()
    return sum(tensor.numel() for tensor in (value.values() if isinstance(value, dict) else (value,)))
