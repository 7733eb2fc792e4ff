"""The way into a Ray cluster, and what its nodes are like."""

import io
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmark.errors import RequestError
from benchmark.run.executor.local_pool import cores
from benchmark.run.executor.ray_node_check import Sight, complaint, look
from benchmark.run.executor.ray_resources import Node
from benchmark.run.plan import Request
from benchmark.storage.files import storing

QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
ANSWER = 5.0
"""Seconds that an address has to answer."""
LOOK = 60.0
"""Seconds that a node has to start a process and look around."""
INSTEAD = "start one with `ray start --head` and give --ray-address auto on one of its nodes"
LONGEST_LINE = 300


@contextmanager
def connected(request: Request) -> Iterator[None]:
    """Within the block this process belongs to a cluster. Raises RequestError where there is none."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of one's own calls nobody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or each process on a CPU has a word on GPUs
    with redirect_stdout(io.StringIO()):  # where Ray tells of each worker that dies, as the display does
        try:
            _join(request)
            yield
        finally:
            ray.shutdown()


def _join(request: Request) -> None:
    """Join the cluster that was asked for or that the environment names, or start one on this machine alone."""
    address = request.ray_address or os.environ.get("RAY_ADDRESS") or "local"
    _check(address)
    try:
        if address == "local":
            threads = request.threads or 1
            cpus = request.jobs * threads if request.jobs else max(cores(), threads)
            ray.init("local", num_cpus=cpus, include_dashboard=False, **QUIET)
        else:
            ray.init(address, **QUIET)
    except (OSError, RuntimeError, ValueError, RayError, SystemExit) as error:
        raise RequestError(
            f"there is no way into a Ray cluster at {address!r}: {one_line(error)}; {INSTEAD}"
        ) from error


def _check(address: str) -> None:
    """Raises RequestError where nothing answers at an address; Ray would try for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in address or not port.isdecimal():
        raise RequestError(f"--ray-address is auto or HOST:PORT, such as 10.0.0.1:6379, not {address!r}; {INSTEAD}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise RequestError(f"nothing answers at {address}, the --ray-address ({error}); {INSTEAD}") from error


def nodes() -> list[Node]:
    """Those that are there now."""
    return [
        Node(
            found["NodeID"],
            f"{found['NodeManagerHostname']} ({found['NodeManagerAddress']})",
            found["Resources"].get("CPU", 0.0),
            found["Resources"].get("GPU", 0.0),
        )
        for found in ray.nodes()
        if found["Alive"]
    ]


@contextmanager
def token(results: Path) -> Iterator[Path]:
    """A file in the results folder, by which nodes know that they see the same one. Raises StorageError."""
    with storing(results):
        results.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=results.absolute(), prefix=".seen-from-")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def examine(there: Sequence[Node], token: Path, expected: Sight) -> None:
    """Let each node look around. Raises RequestError for the first that would be of no use."""
    seen = {}
    for node in there:
        here: Any = NodeAffinitySchedulingStrategy(node.id, soft=False)
        seen[ray.remote(num_cpus=0, scheduling_strategy=here)(look).remote(token)] = node
    ready, _ = ray.wait([*seen], num_returns=len(seen), timeout=LOOK)
    for answer, node in seen.items():
        try:
            problem = complaint(ray.get(answer), expected, token.parent) if answer in ready else "does not answer"
        except RayError as error:
            problem = f"can't look at it: {one_line(error)}"
        if problem:
            raise RequestError(f"node {node.name} {problem}")


def one_line(error: BaseException) -> str:
    """The last line that says anything, which in Ray's errors is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:LONGEST_LINE]
