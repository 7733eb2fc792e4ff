"""Checks of where a method works, and of what it trains, predicts and shows."""

import copy
from collections.abc import Mapping
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from benchmark.channel import RoundNumber, Value, same
from benchmark.client import Client
from benchmark.compatibility import unsupported
from benchmark.conformance.suite import Broken, where
from benchmark.conformance.toy import HEADS, SHAPE, TOYS, federate, make_task, toy_federation, toy_task
from benchmark.engine.eager import set_to_train
from benchmark.federation import Federation
from benchmark.method import Batch, Method, Phase
from benchmark.models.line_up import LineUp, Shape
from benchmark.plugins import registry
from benchmark.task import Task

BATCH_NORM = "resnet3"
"""The cheapest line-up of the catalogue with batch normalisation in convolutional networks."""
ODD: Mapping[str, tuple[tuple[int, ...], list[tuple[int, ...]] | None, dict[str, Any]]] = {
    "a client with one sample": ((1, 8, 6), None, {}),
    "clients without some classes": ((8, 6, 7), [(0,), (1, 2), (0, 2)], {}),
    "one participant": ((8, 6, 7), None, {"participation": 0.1}),
    "a remainder of one sample": ((5, 9, 13), None, {"batch_size": 4}),
    "momentum and two epochs": ((6, 6, 6), None, {"momentum": 0.9, "weight_decay": 0.01, "local_epochs": 2}),
    "clipping, decay, steps in place of epochs and alike initial weights": (
        (3, 9, 6),
        None,
        {"clip_norm": 0.5, "lr_decay": 0.5, "local_steps": 3, "initial": "shared"},
    ),
    "fine-tuning": ((6, 5, 6), None, {"finetune": 2, "participation": 0.6}),
    "Adam": ((6, 6, 6), None, {"optimizer": "adam", "lr": 0.01}),
    "augmentation": ((6, 6, 6), None, {"augmentation": "lab"}),
}
"""Training samples per client, labels per client, configuration."""


def line_ups() -> list[tuple[LineUp, Shape]]:
    """Return the line-ups that a method works on or refuses, each with the shape of small images for it."""
    real = [registry.line_up(name) for name in ("cnn5", "cnn1", BATCH_NORM)]
    return [(toy, SHAPE) for toy in (*TOYS, HEADS)] + [
        (line_up, (3 if line_up.name == BATCH_NORM else 1, line_up.min_size, line_up.min_size)) for line_up in real
    ]


def any_line_up(method: Method) -> None:
    """On every kind of line-up it trains for a round, or says beforehand why it can't."""
    for line_up, shape in line_ups():
        with where(f"on {line_up.name}"):
            _runs_or_refuses(method, make_task((4,) * max(3, len(line_up.architectures)), line_up=line_up, shape=shape))
    toy_task(method)


def _runs_or_refuses(method: Method, task: Task) -> None:
    reason = unsupported(method, task)
    if reason is None:
        _, (record,) = federate(method, task, rounds=1, lr=0.01)
        if not record["client_flops"]:
            raise Broken("clients compute nothing")
    elif not isinstance(reason, str) or not reason.strip() or "\n" in reason:
        raise Broken(f"unsupported gives {reason!r}; it gives a reason in one line, or None")


def odd_clients(method: Method) -> None:
    """Odd clients and settings work: one sample, missing classes, one participant, momentum, augmentation."""
    for case, (train_sizes, labels, config) in ODD.items():
        with where(f"with {case}"):
            task = toy_task(method, train_sizes, labels=labels, shape=(2, 12, 12))
            for record in federate(method, task, **config)[1]:
                if not isfinite(record["train_loss"]):
                    raise Broken(f"the training loss is {record['train_loss']}")
                for moment in ("post_local", "post_download", "post_finetune"):
                    if moment in record and record[moment]["total"] != [4, 4, 4]:
                        raise Broken(f"{moment}: evaluated on {record[moment]['total']} samples, not on all")


def trained_parts(method: Method) -> None:
    """Every part that is trained changes, and no other does."""
    task = toy_task(method, (20, 20, 20))  # so many that no network has units without gradient by chance
    federation = toy_federation(method, task, rounds=1)
    server = federation.server
    federation.round(1)
    for k, after in federation.states.items():
        info = task.infos[k]
        before = method.receive(federation.engine.initial_state(k), method.download(server, info), info)
        parts = federation.engine.load(k, after).parts
        phases = [phase for _, phase in federation.engine.phases(RoundNumber())]
        trained = {part for phase in phases for part in (parts if phase.trains is None else phase.trains)}
        for part, module in parts.items():
            for key, _ in module.named_parameters():
                moved = not same(after[part][key], before[part][key])
                dead = key.endswith("bias")  # a bias in front of batch norm has no gradient
                if moved and part not in trained:
                    raise Broken(f"{part}.{key} of client {k} has changed, and {part} is not trained")
                if not moved and part in trained and not dead:
                    raise Broken(f"{part}.{key} of client {k} has not changed, and {part} is trained")


def predictions(method: Method) -> None:
    """Every predictor scores all classes, and a sample's scores do not depend on the others of its batch."""
    task = toy_task(method)
    federation, _ = federate(method, task, rounds=1)
    for k in range(task.num_clients):
        client, x = _evaluated(federation, k)
        for name, predictor in method.predictors().items():
            with torch.no_grad():
                scores = predictor(client, x)
                alone = torch.cat([predictor(client, x[i : i + 1]) for i in range(len(x))])
            if scores.shape != (len(x), task.num_classes):
                raise Broken(
                    f"{name} gives scores {list(scores.shape)} for {len(x)} samples, {task.num_classes} classes"
                )
            if scores.isnan().any():
                raise Broken(f"{name} gives NaN to client {k}; a class that can't be scored gets -inf")
            if not torch.allclose(scores, alone, rtol=1e-3, atol=1e-5):
                raise Broken(f"{name} scores a sample of client {k} differently beside others than alone")


def inspection(method: Method) -> None:
    """It shows one weight per sample of a prediction, and representations of one width."""
    task = toy_task(method)
    federation, _ = federate(method, task, rounds=1)
    client, x = _evaluated(federation, 0)
    with torch.no_grad():
        shown = method.inspect(client, x)
    for name, weight in shown.weights.items():
        if weight.shape != (len(x),) or not weight.isfinite().all():
            raise Broken(f"the weight {name!r} is {list(weight.shape)} for {len(x)} samples, or not finite")
    widths = {tuple(vectors.shape) for vectors in shown.representations.values()}
    if len(widths) > 1 or any(len(shape) != 2 or shape[0] != len(x) for shape in widths):
        raise Broken(f"representations are {sorted(widths)}, not all [{len(x)}, d]")


def _evaluated(federation: Federation, k: int) -> tuple[Client, Tensor]:
    """Return a client in evaluation mode as it is after a round, and its test images [4, c, h, w]."""
    client = federation.client(k)
    for module in client.parts.values():
        module.eval()
    return client, federation.task.batch(federation.task.clients[k].test)[0]


def device(method: Method) -> None:
    """Hooks on batches never wait for the device, and make their tensors on it."""
    task = toy_task(method)
    federation, _ = federate(method, task, rounds=1)
    for k in task.by_architecture.values():
        with where("where tensors have no values to wait for (torch's device meta)"):
            _on_meta(federation.method, federation, k)


def _on_meta(method: Method, federation: Federation, k: int) -> None:
    """Call all hooks on batches of one client, on a device that has shapes alone: reading a value raises."""
    task, info = federation.task.to(torch.device("meta")), federation.task.infos[k]
    state = method.receive(federation.state(k), method.download(federation.server, info), info)
    parts = {name: copy.deepcopy(part).to("meta") for name, part in federation.client(k).parts.items()}
    values = {name: _to_meta(value) for name, value in state.items() if name not in parts}
    client, batch = Client(info, parts, values), Batch(*task.batch(task.clients[k].train))
    for phase in method.phases():
        _on_meta_trained(method, phase, client, batch)
    for part in parts.values():
        part.eval()
    with torch.no_grad():
        method.statistics(client, batch)
        method.inspect(client, batch.x)
        for predictor in method.predictors().values():
            predictor(client, batch.x)


def _on_meta_trained(method: Method, phase: Phase, client: Client, batch: Batch) -> None:
    set_to_train(client.parts, phase)
    loss = (phase.loss or method.loss)(client, *[batch] * len(phase.samples))
    loss.backward()
    with torch.no_grad():
        method.project(client)


def _to_meta(value: Value) -> Value:
    moved: Value = pytree.tree_map(lambda tensor: tensor.to("meta"), value)
    return moved
