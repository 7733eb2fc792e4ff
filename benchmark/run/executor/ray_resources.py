"""The resources that a worker asks a Ray cluster for, and the number of workers that fit on a node."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, inf
from typing import NamedTuple

from benchmark.errors import RequestError
from benchmark.run.plan import Request

GPU_PARTS = 10_000
"""Ray counts shares of a GPU in ten thousandths."""


@dataclass(frozen=True)
class Node:
    """A machine of a cluster, with all its CPUs and GPUs, including those in use."""

    id: str
    name: str
    cpus: float
    gpus: float


class Demand(NamedTuple):
    """The CPUs and GPUs, or share of a GPU, that a worker reserves on its node."""

    cpus: int
    gpus: float


def worker_demand(request: Request, nodes: Sequence[Node]) -> Demand:
    """Return a CPU for each thread and, if there are GPUs, one GPU, or a share of one if there are more jobs than GPUs.

    Raises RequestError if no node has that.
    """
    gpus = sum(node.gpus for node in nodes) if request.device != "cpu" else 0
    if request.device == "cuda" and not gpus:
        raise RequestError("no node of the cluster has a GPU; leave --device out, or give --device cpu")
    per_gpu = ceil(request.jobs / gpus) if request.jobs and gpus else 1
    demand = Demand(request.threads or 1, floor(GPU_PARTS / per_gpu) / GPU_PARTS if gpus else 0.0)
    if not any(capacity(node, demand) for node in nodes):
        most = max((node.cpus for node in nodes if node.gpus >= demand.gpus), default=0)
        beside = " beside a GPU" if gpus else ""
        raise RequestError(
            f"no node of the cluster has {demand.cpus} CPUs{beside}, the most is {most:g}; see --threads"
        )
    return demand


def capacity(node: Node, demand: Demand) -> int:
    """Return how many workers with this demand fit on the node."""
    by_gpu = node.gpus / demand.gpus if demand.gpus else inf
    return floor(min(node.cpus / demand.cpus, by_gpu))
