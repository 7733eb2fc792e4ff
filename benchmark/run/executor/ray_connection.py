"""Connect to a Ray cluster, list its nodes and check them."""

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
from benchmark.measure.cores import cores
from benchmark.run.executor.ray_node_check import NodeCheck, complaint, inspect_node
from benchmark.run.executor.ray_resources import Node
from benchmark.run.plan import Request
from benchmark.storage.files import storing

QUIET_OPTIONS: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
ADDRESS_SECONDS = 5.0
"""Seconds that an address has to accept a connection."""
NODE_CHECK_SECONDS = 60.0
"""Seconds that a node has to start a process and inspect itself."""
START_HINT = "start one with `ray start --head` and give --ray-address auto on one of its nodes"
LINE_CHARACTERS = 300
"""Length at which lines of Ray's errors are cut off."""


@contextmanager
def connected(request: Request) -> Iterator[None]:
    """Connect this process to a cluster within the block. Raises RequestError if there is none."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here reports no usage
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or each process without a GPU prints a warning
    with redirect_stdout(io.StringIO()):  # Ray reports dead workers there, as the display does
        try:
            _join(request)
            yield
        finally:
            ray.shutdown()


def _join(request: Request) -> None:
    """Join the cluster that the request or the environment names, or start one on this machine alone."""
    address = request.ray_address or os.environ.get("RAY_ADDRESS") or "local"
    _check_address(address)
    try:
        if address == "local":
            threads = request.threads or 1
            cpus = request.jobs * threads if request.jobs else max(cores(), threads)
            ray.init("local", num_cpus=cpus, include_dashboard=False, **QUIET_OPTIONS)
        else:
            ray.init(address, **QUIET_OPTIONS)
    except (OSError, RuntimeError, ValueError, RayError, SystemExit) as error:
        raise RequestError(f"can't connect to a Ray cluster at {address!r}: {one_line(error)}; {START_HINT}") from error


def _check_address(address: str) -> None:
    """Raise RequestError if nothing answers at an address; Ray would try for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in address or not port.isdecimal():
        raise RequestError(f"--ray-address is auto or HOST:PORT, such as 10.0.0.1:6379, not {address!r}; {START_HINT}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ADDRESS_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise RequestError(f"nothing answers at {address}, the --ray-address ({error}); {START_HINT}") from error


def alive_nodes() -> list[Node]:
    """Return the nodes of the cluster that are alive now."""
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
def token_file(results: Path) -> Iterator[Path]:
    """Create a file in the results folder within the block, for nodes to prove that they see the folder.

    Raises StorageError if it can't be written.
    """
    with storing(results):
        results.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=results.absolute(), prefix=".seen-from-")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def check_nodes(nodes: Sequence[Node], token: Path, expected: NodeCheck) -> None:
    """Let each node inspect itself. Raises RequestError for the first that can't execute runs."""
    answers = {}
    for node in nodes:
        on_node: Any = NodeAffinitySchedulingStrategy(node.id, soft=False)
        answers[ray.remote(num_cpus=0, scheduling_strategy=on_node)(inspect_node).remote(token)] = node
    ready, _ = ray.wait([*answers], num_returns=len(answers), timeout=NODE_CHECK_SECONDS)
    for answer, node in answers.items():
        try:
            problem = complaint(ray.get(answer), expected, token.parent) if answer in ready else "does not answer"
        except RayError as error:
            problem = f"can't be checked: {one_line(error)}"
        if problem:
            raise RequestError(f"node {node.name} {problem}")


def one_line(error: BaseException) -> str:
    """Return the last line of an error that is not empty, which in Ray's errors is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:LINE_CHARACTERS]
