"""Whether a server needs single messages, found out by asking it: secure aggregation shows it sums alone."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from benchmark.channel import FIRST, Inbox, Message, RoundNumber, Rows, State, Value, copied
from benchmark.config import FederationConfig
from benchmark.method import Method
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.seeds import torch_seeded
from benchmark.task import Task

SENDERS = 3
RELATIVE_TOLERANCE = 1e-3
FEW_RECORDS = 8


def needs_single_messages(method: Method, task: Task, config: FederationConfig, device: torch.device) -> bool:
    """Return whether the server's work depends on more than sums of messages, before anything runs.

    Client 0 trains on a few of its records for an example of a message.
    """
    with torch_seeded("check"):
        lab = ShadowClients(method, task.to(device), config, device)
        server = copied(method.server_init(lab.engine.task))
        info = lab.engine.task.infos[0]
        state = method.receive(lab.engine.initial_state(0), copied(method.download(server, info)), info)
        message = lab.train(0, copied(state), lab.engine.task.clients[0].train[:FEW_RECORDS], FIRST).message
    return not sums_suffice(method, server, message, FIRST)


def sums_suffice(method: Method, server: State, message: Message, t: RoundNumber) -> bool:
    """Return whether the server does the same for all messages with the same sum.

    Some clients send the message; then one adds to it what another takes away, name by name.
    """
    alike = [_whole(message) for _ in range(SENDERS)]
    expected = _aggregated(method, server, alike, t)
    return all(_same(expected, _aggregated(method, server, moved, t)) for moved in _moved(alike))


def _aggregated(method: Method, server: State, messages: Sequence[Message], t: RoundNumber) -> list[Tensor]:
    inbox = Inbox({k: copied(m) for k, m in enumerate(messages)}, dict.fromkeys(range(len(messages)), 1), t)
    with torch_seeded("check"):
        after = copied(method.aggregate(copied(server), inbox))
    return [tensor.double() for value in after.values() for tensor in _tensors_of(value)]


def _whole(message: Message) -> Message:
    """Return a message with all rows present, so that all clients send the same."""
    return {
        name: Rows(value.values, torch.ones_like(value.present)) if isinstance(value, Rows) else value
        for name, value in message.items()
    }


def _moved(alike: Sequence[Message]) -> Iterator[list[Message]]:
    """Yield the messages, one with more and one with less of a value, for each value."""
    for name, value in alike[0].items():
        with torch_seeded("check"):
            shifts = [torch.rand_like(tensor) * _size(tensor) for tensor in _tensors_of(value) if _is_moved(tensor)]
        if shifts:
            more, less = (_mapped(value, partial(_shifted, shifts=iter(shifts), sign=sign)) for sign in (1, -1))
            yield [{**alike[0], name: more}, {**alike[1], name: less}, *alike[2:]]


def _is_moved(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() > 0


def _size(tensor: Tensor) -> float:
    """Return half the typical size of a tensor's numbers, or a half."""
    return float(tensor.abs().mean()) / 2 or 0.5


def _shifted(tensor: Tensor, shifts: Iterator[Tensor], sign: int) -> Tensor:
    return tensor + sign * next(shifts) if _is_moved(tensor) else tensor


def _same(a: Sequence[Tensor], b: Sequence[Tensor]) -> bool:
    scales = [float(x.abs().mean()) if x.numel() else 0.0 for x in a]
    return len(a) == len(b) and all(
        x.shape == y.shape and float((x - y).abs().mean() if x.numel() else 0) <= RELATIVE_TOLERANCE * scale + 1e-9
        for x, y, scale in zip(a, b, scales, strict=True)
    )


def _tensors_of(value: Value) -> list[Tensor]:
    """Return the tensors of a value, of a table its numbers."""
    if isinstance(value, Rows):
        return [value.values]
    return list(value.values()) if isinstance(value, dict) else [value]


def _mapped(value: Value, change) -> Value:  # type: ignore[no-untyped-def]
    """Return a value with each of its tensors changed, of a table its numbers."""
    if isinstance(value, Rows):
        return Rows(change(value.values), value.present)
    if isinstance(value, dict):
        return {name: change(tensor) for name, tensor in value.items()}
    return change(value)
