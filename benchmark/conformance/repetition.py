"""Checks that run a method again: under the same seed, under another, and after an interruption."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from benchmark.channel import same
from benchmark.conformance.suite import Broken, where
from benchmark.conformance.toy import federate, tensors, toy_federation, toy_task
from benchmark.federation import Federation
from benchmark.method import Method
from benchmark.storage.checkpoint import Checkpoint, fingerprint

TIMES = ("seconds", "client_seconds", "server_seconds", "eval_seconds", "clients")


def reproducible(method: Method) -> None:
    """Two runs with the same seed are equal to the bit."""
    task = toy_task(method)
    (a, records_a), (b, records_b) = (federate(method, task) for _ in range(2))
    if not same(a.states, b.states) or not same(a.server, b.server):
        raise Broken("the same seed gives other weights the second time; draw random numbers with torch alone")
    for x, y in zip(records_a, records_b, strict=True):
        again: Mapping[str, Any] = y
        if differ := [name for name, value in x.items() if name not in TIMES and value != again[name]]:
            raise Broken(f"the same seed gives another {', '.join(differ)} in round {x['round']} the second time")


def another_seed(method: Method) -> None:
    """Another seed gives other weights, and not only through the order of batches."""
    whole = {"rounds": 1, "batch_size": 16}  # all samples of a client in one batch
    a, b = (federate(method, toy_task(method, seed=seed), **whole)[0].states for seed in (0, 1))
    if all(torch.allclose(x, y, atol=1e-4) for x, y in zip(tensors(a), tensors(b), strict=True)):
        raise Broken("seeds 0 and 1 give the same weights; start from the networks of the task, and seed nothing")


def resume(method: Method) -> None:
    """A run resumed from a checkpoint equals one never interrupted, to the bit."""
    for config in ({}, {"participation": 0.4, "momentum": 0.5}):
        with tempfile.TemporaryDirectory() as folder, where("after two of three rounds"), ExitStack() as writers:
            whole, again = (toy_federation(method, toy_task(method), rounds=3, **config) for _ in range(2))
            for federation in (whole, again):
                writers.callback(federation.states.close)  # before the folder goes
            _resumes(whole, again, Checkpoint(Path(folder)))


def _resumes(whole: Federation, again: Federation, checkpoint: Checkpoint) -> None:
    for t in (1, 2):
        checkpoint.save(whole.round(t)["round"], whole.server, whole.states, None)
    manifest = checkpoint.manifest()
    if manifest is None:
        raise Broken("the checkpoint can't be read")
    again.server = checkpoint.restore(manifest, again.states, again.device)
    a, b = whole.round(3), again.round(3)
    for what, here, there in (
        ("state of the clients", whole.states, again.states),
        ("state of the server", whole.server, again.server),
        ("accuracy", a["post_download"], b["post_download"]),
        ("training loss", a["train_loss"], b["train_loss"]),
    ):
        if not same(here, there):
            raise Broken(f"the {what} is another when the run goes on; keep all that lasts in the states")
    if fingerprint(whole.server, whole.states) != fingerprint(again.server, again.states):
        raise Broken("states have their names in another order when the run goes on")
