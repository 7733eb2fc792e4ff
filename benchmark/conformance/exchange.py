"""Checks of what a method sends and keeps: counted, copied, changed by its holder alone, and open to audits."""

import copy
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from benchmark.channel import Inbox, Message, Rows, State, same
from benchmark.client import Client, ClientInfo
from benchmark.conformance.suite import Broken
from benchmark.conformance.toy import TOY_LR, federate, tensors, toy_federation, toy_task, watched
from benchmark.method import Method, initial_parts, with_client_rate
from benchmark.privacy.vectors import same_structure

ELEMENT_BYTES = {
    **{torch.float32: 4, torch.float16: 2, torch.bfloat16: 2},
    **{torch.int64: 8, torch.int32: 4, torch.int16: 2, torch.int8: 1, torch.uint8: 1, torch.bool: 1},
}
"""Types that may travel -> their bytes. Training is in single precision, so a double only costs twice the bytes."""


def aggregate(method: Method) -> None:
    """Aggregation leaves the server's state and the inbox as they were."""
    method = with_client_rate(method, TOY_LR)  # the hook below asks this one, not the federation's

    def watching(server: State, inbox: Inbox) -> State:
        before = copy.deepcopy((server, dict(inbox.messages)))
        after = method.aggregate(server, inbox)
        for what, a, b in zip(("the server's state", "the inbox"), before, (server, dict(inbox.messages)), strict=True):
            if not same(a, b):
                raise Broken(f"aggregate changes {what} in place; return a new state")
        return after

    federate(watched(method, aggregate=watching), toy_task(method))


def sent_bytes(method: Method) -> None:
    """Bytes on record are those of what was sent, in single precision at most."""
    sent: dict[str, dict[int, dict[str, int]]] = {"up": {}, "down": {}}

    def download(server: State, client: ClientInfo) -> Message:
        message = method.download(server, client)
        # Other states are not sent: the harness reads the first for what the seed determines, the next to evaluate.
        if server is before:
            sent["down"].setdefault(client.id, _sizes(message))
        return message

    def upload(client: Client, statistics: dict[str, Tensor]) -> Message:
        message = method.upload(client, statistics)
        sent["up"][client.info.id] = _sizes(message)
        return message

    federation = toy_federation(watched(method, download=download, upload=upload), toy_task(method), rounds=3)
    for t in (1, 2, 3):
        before = federation.server
        record: Mapping[str, Any] = federation.round(t)
        for direction, messages in sent.items():
            recorded = {client["id"]: client[f"bytes_{direction}"] for client in record["clients"]}
            total = sum(sum(sizes.values()) for sizes in messages.values())
            if recorded != messages or record[f"bytes_{direction}"] != total:
                raise Broken(f"round {t}, {direction}: recorded are {recorded}, sent were {messages}")
            messages.clear()


def _sizes(message: Message) -> dict[str, int]:
    return {name: _size(name, value) for name, value in message.items()}


def _size(name: str, value: Any) -> int:
    """Return the bytes of a value, counted independently of the channel."""
    if isinstance(value, Rows):
        return sum(4 + _size(name, row) for row, present in zip(*value, strict=True) if present)
    if isinstance(value, dict):
        return sum(_size(f"{name}.{key}", tensor) for key, tensor in value.items())
    if value.dtype not in ELEMENT_BYTES:
        raise Broken(f"{name} travels as {value.dtype}; send torch.float32 or smaller")
    return value.numel() * ELEMENT_BYTES[value.dtype]


def record_message(method: Method) -> None:
    """The message of one record, which audits compare with uploads, has the names and shapes of a decoded upload."""

    def upload(client: Client, statistics: dict[str, Tensor]) -> Message:
        message = method.upload(client, statistics)
        pair = (method.decoded(sent, before) for sent in (message, method.record_message(client, statistics)))
        if not same_structure(*pair):
            raise Broken("record_message and decoded give other names or shapes than an upload has, decoded")
        return message

    federation = toy_federation(watched(method, upload=upload), toy_task(method))
    before = federation.server
    federation.round(1)


def memory(method: Method) -> None:
    """No two clients, and no client and the server, hold one tensor: each has its own copy."""
    task = toy_task(method)
    federation, _ = federate(method, task)
    parts = {f"client {k}": initial_parts(method, task, k) for k in range(task.num_clients)}
    _apart({name: [*_parameters(held)] for name, held in parts.items()}, "new modules of")
    held = {"the server": federation.server} | {f"client {k}": state for k, state in federation.states.items()}
    _apart({name: tensors(state) for name, state in held.items()}, "states of")


def _parameters(parts: Mapping[str, torch.nn.Module]) -> list[Tensor]:
    return [tensor for part in parts.values() for tensor in (*part.parameters(), *part.buffers())]


def _apart(held: Mapping[str, list[Tensor]], what: str) -> None:
    addresses = {name: {t.untyped_storage().data_ptr() for t in tensors if t.numel()} for name, tensors in held.items()}
    for a, b in combinations(addresses, 2):
        if addresses[a] & addresses[b]:
            raise Broken(f"{what} {a} and {b} share memory; make new ones in parts")
