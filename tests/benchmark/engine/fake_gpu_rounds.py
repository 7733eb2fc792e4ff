"""Rounds on tensors that say they are on a GPU and hold nothing: a machine without one finds what would fail there.

A wrong device raises as it would on a card; reading a value, which would wait for the card, raises as there is none.
This runs in a process of its own, `python fake_gpu_rounds.py NAME...`, for it replaces much of torch. It prints a line
of JSON for each name.
"""

import gc
import json
import os
import sys
from contextlib import nullcontext
from time import perf_counter
from types import SimpleNamespace
from unittest.mock import patch

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmark.api import Batch, Method
from benchmark.channel import copied
from benchmark.config import FederationConfig
from benchmark.conformance.toy import toy_task
from benchmark.federation import Federation
from benchmark.plugins import registry

GPU = torch.device("cuda")
KEPT: list[nn.Parameter] = []
"""Weights that were moved: torch counts references to fake ones wrongly when they are freed."""


class HeldStates(dict):
    """States as the federation keeps them, without the memory and the files that real ones have."""

    def __init__(self, *_):
        super().__init__()

    def expect(self, clients):
        list(clients)

    def initial(self, client, make):
        return make()

    def __setitem__(self, client, state):
        super().__setitem__(client, copied(state))


def zero_gradients(loss, *_):
    """In place of backward, which runs in C++ and asks for the driver: a gradient for all weights that it reaches."""
    seen, todo = set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            node.variable.grad = torch.zeros_like(node.variable)
        todo += [earlier for earlier, _ in node.next_functions]


def moved(module, device=None, **_):
    """In place of Module.to, which swaps the insides of tensors: new ones on the device."""
    for each in module.modules():
        for name, weight in [*each.named_parameters(recurse=False)]:
            KEPT.append(weight)
            setattr(each, name, nn.Parameter(weight.detach().to(device)))
        for name, buffer in [*each.named_buffers(recurse=False)]:
            setattr(each, name, buffer.to(device))
    return module


def plain_sgd(engine, phase, tensors, t):
    """In place of fused SGD, whose kernel is a GPU's."""
    return torch.optim.SGD([weight for of in tensors.values() for weight in of], lr=0.1, momentum=0.9, foreach=False)


def every_client_evaluated(evaluation, record, server, t):
    """In place of scores, which are read: their computation."""
    engine = evaluation._engine
    for k in range(engine.task.num_clients):
        engine.evaluate(engine.load(k, evaluation._state_of(k), t), engine.task.clients[k].test, "test", ())


def every_row(inbox, name):
    """In place of the rows that came, whose number is read: all."""
    tables = inbox.of(name)
    classes = [torch.arange(len(table.values), device=table.values.device) for table in tables]
    return torch.cat([table.values for table in tables]), torch.cat(classes)


DRIVERLESS = {
    "torch.random.fork_rng": lambda devices: nullcontext(),  # it would write a generator's state into a fake tensor
    "torch.Tensor.backward": zero_gradients,
    "torch.autograd.grad": lambda loss, inputs, **_: tuple(0 * loss + torch.zeros_like(weight) for weight in inputs),
    "torch.nn.Module.to": moved,
    "benchmark.engine.eager.EagerEngine.optimiser_of": plain_sgd,
    "benchmark.measure.clock.Span._now": lambda _: perf_counter(),
    "benchmark.schedule._sent": lambda order, device: order.to(device),
    "benchmark.federation.ClientStates": HeldStates,
}
"""What needs a driver, replaced by what a GPU would do to shapes and devices."""
READ_WHERE_A_ROUND_ENDS = {
    "benchmark.federation._mean_losses": lambda trained: dict.fromkeys(trained, 0.0),
    "benchmark.evaluation.Evaluation.add_scores": every_client_evaluated,
    "benchmark.channel.Channel.bytes": lambda self, way: {k: {} for k in self._sizes[way]},
    "benchmark.federation.wire_shape": lambda state: (),
    "benchmark.channel.Inbox.shape": (),
}
READ_BY_MESSAGES_AND_SERVERS = {
    "benchmark.functional.rank": lambda singular, energy: 1,
    "torch.Tensor.isfinite": lambda tensor: SimpleNamespace(all=lambda: True),
    "methods.fedkd.FedKD.download": lambda self, server, client: {"student": server["student"]},
    "benchmark.channel.Inbox.rows": every_row,
    "methods.fedtgp.gap": lambda means: torch.cdist(means.values, means.values).amax(),
}
"""Of FedKD, whose ranks depend on weights, and of the servers of FedGH and FedTGP, which see the rows that came."""


class Reading(Method):
    """Its loss branches on a value."""

    def loss(self, client, batch: Batch):
        loss = super().loss(client, batch)
        return loss * 2 if loss > 1 else loss


class Elsewhere(Method):
    """It adds a tensor of another device."""

    def predict(self, client, x):
        return super().predict(client, x) + torch.ones(3)


FAULTY = {"reading": Reading, "elsewhere": Elsewhere}


def devices_after_two_rounds(name: str) -> list[str]:
    """Run a method with momentum, clients that miss rounds, and remainders; return the devices of all that is held."""
    method = FAULTY[name]() if name in FAULTY else registry.method(name)[0]
    config = FederationConfig(clients=3, rounds=2, batch_size=4, participation=0.7, momentum=0.9)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    mode.cache_enabled = False
    task = toy_task(method, (7, 5, 9))
    with mode:
        federation = Federation(method, task, config, GPU)
        assert all(record["client_flops"] > 0 for record in federation.run())
    held = [federation.server, *federation.states.values()]
    return sorted({tensor.device.type for state in held for tensor in torch.utils._pytree.tree_leaves(state)})


def main(names: list[str]) -> None:
    """Print a line for each name: the devices, or the error."""
    gc.disable()
    for target, replacement in (DRIVERLESS | READ_WHERE_A_ROUND_ENDS | READ_BY_MESSAGES_AND_SERVERS).items():
        patch(target, replacement).start()
    for name in names:
        try:
            found = {"name": name, "devices": devices_after_two_rounds(name)}
        except Exception as error:
            found = {"name": name, "error": f"{error}", "cause": type(error.__cause__).__name__}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)  # without freeing what is left
