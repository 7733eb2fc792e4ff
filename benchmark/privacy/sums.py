"""Whether a server needs single messages, found out by asking it: secure aggregation shows it sums alone."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import inf, isfinite, sqrt

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

    Clients send unlike messages; then one adds what another takes away. And two clients share the rows of a table
    between them in other ways.
    """
    if not _looks_at_sums_of_rows(method, server, message, t):
        return False
    whole = _with_rows(message, slice(None))
    with torch_seeded("check"):
        # if clients differed in one value alone, its products with others would be sums, too
        first, second, *others = (_added(whole, _random_change(whole), 2) for _ in range(SENDERS))
        shifts = [_random_change({name: whole[name] for name in names}) for names in _moved_together(whole)]
    expected = _aggregated(method, server, [first, second, *others], t)
    for shift in shifts:
        more, less = _added(first, shift, 1), _added(second, shift, -1)
        cancelled, alone = (
            _distance(expected, _aggregated(method, server, [more, other, *others], t)) for other in (less, second)
        )
        if not _is_nothing(cancelled, beside=alone):
            return False
    return True


def _looks_at_sums_of_rows(method: Method, server: State, message: Message, t: RoundNumber) -> bool:
    """Return whether the server does the same however two clients share the rows of a table between them."""
    rows = (slice(0, None, 2), slice(1, None, 2), slice(1), slice(1, None), slice(None))
    even, odd, first, others, whole = (_with_rows(message, chosen) for chosen in rows)
    pairs = ((even, odd), (odd, even), (first, others))
    placed = [_aggregated(method, server, [*pair, whole], t) for pair in pairs]
    moved = _distance(placed[0], _aggregated(method, server, [whole] * SENDERS, t))
    return all(_is_nothing(_distance(placed[0], other), beside=moved) for other in placed[1:])


def _is_nothing(distance: float, beside: float) -> bool:
    """Return whether a distance is no more than rounding, if what does not cancel moves the server so far."""
    return isfinite(distance) and distance <= TOLERANCE * beside + LEAST_DISTANCE


def _aggregated(method: Method, server: State, messages: Sequence[Message], t: RoundNumber) -> list[Tensor]:
    inbox = Inbox({k: copied(m) for k, m in enumerate(messages)}, dict.fromkeys(range(len(messages)), 1), t)
    with torch_seeded("check"):
        after = copied(method.aggregate(copied(server), inbox))
    return [tensor.double() for value in after.values() for tensor in _tensors_of(value)]


def _with_rows(message: Message, rows: slice) -> Message:
    """Return a message with these rows of its tables, and no others."""
    found: Message = {}
    for name, value in message.items():
        if isinstance(value, Rows):
            kept = torch.zeros_like(value.present)
            kept[rows] = True
            value = Rows(torch.where(kept[:, None], value.values, 0), kept)
        found[name] = value
    return found


def _moved_together(message: Message) -> Iterable[Sequence[str]]:
    """Return names of values that are moved at once: all of them, and each alone.

    Alone, because what a server does with small values would be lost in what it does with large ones.
    """
    return dict.fromkeys([tuple(message), *((name,) for name in message)])


def _random_change(message: Message) -> dict[str, list[Tensor]]:
    """Return what to add to each tensor of floats of each value."""
    return {
        name: [_change_of(tensor) for tensor in _tensors_of(value) if _is_moved(tensor)]
        for name, value in message.items()
    }


def _change_of(tensor: Tensor) -> Tensor:
    """Return numbers of about a tensor's size, of both signs if it has both.

    A sender that has added them twice can do without them once: counts and variances stay at least 0.
    """
    change = (1 + torch.rand_like(tensor)) * _size(tensor) / 2
    return change * (torch.rand_like(tensor) - 0.5).sign() if tensor.min() < 0 else change


def _added(message: Message, change: Mapping[str, list[Tensor]], times: float) -> Message:
    """Return a message with a change added so many times to the values that it names."""
    changed = {
        name: _mapped(message[name], partial(_shifted, shifts=iter(shifts), times=times))
        for name, shifts in change.items()
    }
    return message | changed


def _is_moved(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() > 0


def _size(tensor: Tensor) -> float:
    """Return half the typical size of a tensor's numbers, or a half."""
    return float(tensor.abs().mean()) / 2 or 0.5


def _shifted(tensor: Tensor, shifts: Iterator[Tensor], times: float) -> Tensor:
    return tensor + times * next(shifts) if _is_moved(tensor) else tensor


def _distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """Return how far two states are apart; infinitely if their shapes differ. Equal infinities are not apart."""
    if [x.shape for x in a] != [y.shape for y in b]:
        return inf
    apart = (torch.where(x == y, 0.0, x - y) for x, y in zip(a, b, strict=True))
    return sqrt(sum(float(of.square().sum()) for of in apart))


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
