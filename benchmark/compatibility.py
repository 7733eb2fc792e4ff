"""Compatibility of methods and tasks, decided before anything runs."""

from collections.abc import Mapping, Sequence

import torch

from benchmark.errors import RequestError
from benchmark.method import Method, Phase, initial_parts
from benchmark.task import Task


def unsupported(method: Method, task: Task) -> str | None:
    """Return why a method can't work with a task, or None: its own reason, or a shared part without a common shape.

    Raises RequestError if it could work with no task: it shares or trains what no client holds.
    """
    if reason := method.unsupported(task):
        return reason
    first: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {}  # shared part -> where it was first seen, its shapes
    for number, (architecture, client) in enumerate(task.by_architecture.items()):
        if number and not method.shares():
            break
        with torch.device("meta"):
            parts = initial_parts(method, task, client)
        _check_names(method, parts)
        for name in method.shares():
            shapes = {key: tuple(tensor.shape) for key, tensor in parts[name].state_dict().items()}
            where, expected = first.setdefault(name, (architecture, shapes))
            if shapes != expected:
                return f"it shares the {name}, which differs between {where} and {architecture}"
    return None


def _check_names(method: Method, parts: Mapping[str, object]) -> None:
    """Raise RequestError if a method shares or trains what a client with these parts does not hold."""
    phases = method.phases()
    if not isinstance(phases, Sequence) or not all(isinstance(phase, Phase) for phase in phases):
        raise RequestError("phases() gives no tuple of Phases; write (Phase(...),) for a single one")
    if min((phase.first_round for phase in phases), default=2) > 1:
        raise RequestError("none of its phases takes place in round 1; let one begin there")
    for verb, names in [("shares", method.shares()), *(("trains", phase.trains or ()) for phase in phases)]:
        if isinstance(names, str):
            raise RequestError(f"it {verb} {names!r}, which is no tuple of names; write ({names!r},)")
        for name in names:
            if name not in parts:
                raise RequestError(f"it {verb} {name!r}, and a client holds {', '.join(parts)}")
