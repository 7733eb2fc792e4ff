"""Whether a server needs single messages, found out by asking it: secure aggregation shows it sums alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import inf, sqrt

import torch
from torch import Tensor

from benchmark.channel import FIRST, Inbox, Message, RoundNumber, Rows, State, Value, copied
from benchmark.config import FederationConfig
from benchmark.method import Method, with_client_rate
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.privacy.vectors import same_structure
from benchmark.seeds import torch_seeded
from benchmark.task import Task

SENDERS = 3
LEAST_DISTANCE = 1e-6
TOLERANCE = 0.01
"""A server looks at sums alone if what cancels in them moves it by less than this share of what does not cancel."""
RECORDS_OF_AN_EXAMPLE = 16


def refusal(method: Method, task: Task, config: FederationConfig, device: torch.device) -> str | None:
    """Return why a method can't be defended as the settings ask, before anything runs; None if it can.

    Client 0 trains on one of its records, and on several, for examples of messages.
    """
    if not config.sums_alone and config.dp_epsilon is None:
        return None
    method = with_client_rate(method, config.lr)
    with torch_seeded("check"):
        lab = ShadowClients(method, task.to(device), config, device)
        server = copied(method.server_init(lab.engine.task))
        info, records = lab.engine.task.infos[0], lab.engine.task.clients[0].train
        state = method.receive(lab.engine.initial_state(0), copied(method.download(server, info)), info)
        few = (records[:1], records[-RECORDS_OF_AN_EXAMPLE:])
        other, one = (lab.train(0, copied(state), some, FIRST).message for some in few)
    if config.dp_epsilon is not None and not same_structure(other, one):
        return "the size of its messages depends on data, which noise does not hide; leave out --dp-epsilon for it"
    if config.sums_alone and not sums_suffice(method, server, one, FIRST):
        option = "--secure-aggregation" if config.secure_aggregation else "--dp-noise central"
        return f"its server needs single messages, and with {option} it sees sums alone; leave out one of both"
    return None


def sums_suffice(method: Method, server: State, message: Message, t: RoundNumber) -> bool:
    """Return whether the server does the same for all messages with the same sum.

    Some clients send the message; then one adds to it what another takes away, name by name. And two clients whose
    messages have unlike rows exchange them.
    """
    if not _looks_at_sums_of_rows(method, server, message, t):
        return False
    alike = [_with_rows(message, 0, 1)] * SENDERS  # with all rows, so that all clients send the same
    expected = _aggregated(method, server, alike, t)
    for more, less in _shifted_values(alike[0]):
        cancelled, alone = (
            _distance(expected, _aggregated(method, server, sent, t))
            for sent in ([more, less, *alike[2:]], [more, *alike[1:]])
        )
        if cancelled > TOLERANCE * alone + LEAST_DISTANCE:
            return False
    return True


def _looks_at_sums_of_rows(method: Method, server: State, message: Message, t: RoundNumber) -> bool:
    """Return whether the server does the same if two clients with unlike rows change places."""
    even, odd, whole = (_with_rows(message, *rows) for rows in ((0, 2), (1, 2), (0, 1)))
    placed = [_aggregated(method, server, sent, t) for sent in ([even, odd, whole], [odd, even, whole])]
    moved = _distance(placed[0], _aggregated(method, server, [whole] * SENDERS, t))
    return _distance(*placed) <= TOLERANCE * moved + LEAST_DISTANCE


def _aggregated(method: Method, server: State, messages: Sequence[Message], t: RoundNumber) -> list[Tensor]:
    inbox = Inbox({k: copied(m) for k, m in enumerate(messages)}, dict.fromkeys(range(len(messages)), 1), t)
    with torch_seeded("check"):
        after = copied(method.aggregate(copied(server), inbox))
    return [tensor.double() for value in after.values() for tensor in _tensors_of(value)]


def _with_rows(message: Message, first: int, step: int) -> Message:
    """Return a message with the rows first, first + step, ... of its tables, and no others."""
    found: Message = {}
    for name, value in message.items():
        if isinstance(value, Rows):
            kept = torch.zeros_like(value.present)
            kept[first::step] = True
            value = Rows(torch.where(kept[:, None], value.values, 0), kept)
        found[name] = value
    return found


def _shifted_values(message: Message) -> Iterator[tuple[Message, Message]]:
    """Yield the message with more and with less of a value, for each value."""
    for name, value in message.items():
        with torch_seeded("check"):
            shifts = [torch.rand_like(tensor) * _size(tensor) for tensor in _tensors_of(value) if _is_moved(tensor)]
        if shifts:
            more, less = (_mapped(value, partial(_shifted, shifts=iter(shifts), sign=sign)) for sign in (1, -1))
            yield {**message, name: more}, {**message, name: less}


def _is_moved(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() > 0


def _size(tensor: Tensor) -> float:
    """Return half the typical size of a tensor's numbers, or a half."""
    return float(tensor.abs().mean()) / 2 or 0.5


def _shifted(tensor: Tensor, shifts: Iterator[Tensor], sign: int) -> Tensor:
    return tensor + sign * next(shifts) if _is_moved(tensor) else tensor


def _distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """Return how far two states are apart; infinitely if their shapes differ."""
    if [x.shape for x in a] != [y.shape for y in b]:
        return inf
    return sqrt(sum(float((x - y).square().sum()) for x, y in zip(a, b, strict=True)))


def _tensors_of(value: Value) -> list[Tensor]:
    """Return the tensors of a value, of a table its numbers."""
    if isinstance(value, Rows):
        return [value.values]
    return list(value.values()) if isinstance(value, dict) else [value]


def _mapped(value: Value, change: Callable[[Tensor], Tensor]) -> Value:
    """Return a value with each of its tensors changed, of a table its numbers."""
    if isinstance(value, Rows):
        return Rows(change(value.values), value.present)
    if isinstance(value, dict):
        return {name: change(tensor) for name, tensor in value.items()}
    return change(value)


def mean_message(messages: Mapping[int, Message], num_samples: Mapping[int, int]) -> Message:
    """Return the mean message, weighted by numbers of samples: all that sums alone show of single ones."""
    inbox = Inbox(messages, {k: num_samples[k] for k in messages})
    found: Message = {}
    for name, value in next(iter(messages.values())).items():
        if isinstance(value, Rows):
            found[name] = inbox.mean_rows(name)
        elif isinstance(value, dict):
            found |= inbox.mean([name])
        else:
            weights = torch.tensor([float(num_samples[k]) for k in inbox.ids], device=value.device)
            found[name] = torch.einsum("k,k...->...", weights / weights.sum(), torch.stack(inbox.of(name)).float())
    return found
