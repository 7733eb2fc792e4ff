"""The interface of methods: who holds what, what is minimised, and what travels.

The loop, the optimiser and the counting are the harness's.
"""

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_type_hints

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.channel import Inbox, Message, State
from benchmark.client import Client, ClientInfo
from benchmark.fields import Before, FollowsClient
from benchmark.models.line_up import LocalModel
from benchmark.seeds import torch_seeded
from benchmark.task import Task

Mark = TypeVar("Mark")
Stretch = tuple[float, float]
"""Start and end, as shares of a client's training samples in random order: (0, 0.1) is a tenth of them."""
WHOLE: Stretch = (0.0, 1.0)
"""All of a client's training samples."""


class Batch(NamedTuple):
    """A batch of samples. x: [B, c, h, w] float, normalised; y: [B] int64 labels."""

    x: Tensor
    y: Tensor


class Inspection(NamedTuple):
    """Internals of the prediction of a batch that a reader may look at, by name.

    weights:         [B] each, how much each expert counts, sample by sample
    representations: [B, d] each, of one width
    """

    weights: Mapping[str, Tensor]
    representations: Mapping[str, Tensor]


Loss = Callable[..., Tensor]
"""(client, batch) -> scalar; in a phase on several stretches (client, batch, batch, ...), with a batch of each."""
Predictor = Callable[[Client, Tensor], Tensor]


@dataclass(frozen=True)
class Phase:
    """One block of local training."""

    trains: tuple[str, ...] | None = None
    """Names of the parts that are trained; the others do not change. None: every part the client holds."""
    loss: Loss | None = None
    """The loss that is minimised. None: the method's loss."""
    lr: Mapping[str, float] = field(default_factory=dict)
    """Learning rate per part; parts that are not named have the federation's."""
    weight_decay: float | None = None
    """Weight decay of all parts in this phase. None: the federation's."""
    optimizer: Literal["sgd", "adam"] | None = None
    """What takes the steps, if `lr` has rates that mean something to it alone. None: the federation's."""
    epochs: int | None = None
    """Passes over the local data. None: the federation's local epochs."""
    steps: int | None = None
    """Largest number of steps. None: as many as the passes have."""
    samples: tuple[Stretch, ...] = (WHOLE,)
    """Stretches of the local training data; a step takes one batch from each, as long as all have one."""
    collects: bool = False
    """Whether the method's statistics are sums over this phase's last steps, as many as its last pass has batches,
    instead of a pass of their own after training. What parts have computed for the loss is not computed again. Steps
    cut short (`steps`, or `--local-steps`) may end within a pass: then these lie in two, or there are fewer."""
    first_round: int = 1
    """The round from which on the phase takes place."""


@dataclass(frozen=True)
class Method:
    """A method of federated learning; its fields are its hyper-parameters.

    A method overrides what it does differently. The hooks on batches see fixed shapes and never wait for the device:
    no .item(), no branch on a tensor, no indexing with a boolean mask.
    """

    # Declared.

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """Return the modules that a client holds, by name: here extractor and header of its own network."""
        return {"extractor": model.extractor, "header": model.header}

    def shares(self) -> tuple[str, ...]:
        """Return names of the parts that are sent both ways and averaged, weighted with n_k over the participants."""
        return ()

    def phases(self) -> tuple[Phase, ...]:
        """Return the blocks of local training, in order: here one, over all parts."""
        return (Phase(),)

    def unsupported(self, task: Task) -> str | None:
        """Return why the method can't work on this task, in one line, or None. Called before anything runs."""
        return None

    # On batches.

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """Return the loss that a client minimises: here cross-entropy of its prediction."""
        return F.cross_entropy(self.predict(client, batch.x), batch.y)

    def project(self, client: Client) -> None:
        """Put weights back into their range, in place; called after every step, without gradients.

        Here any weights are allowed.
        """

    def predict(self, client: Client, x: Tensor) -> Tensor:
        """Return scores [B, C] of the client's classes: here header(extractor(x)). Loss and evaluation share it."""
        return client.header(client.extractor(x))

    def predictors(self) -> Mapping[str, Predictor]:
        """Return the ways to predict, by name; the first is the headline, all are recorded.

        A row of scores that is -inf throughout is no prediction, and counts as wrong.
        """
        return {"header": self.predict}

    def inspect(self, client: Client, x: Tensor) -> Inspection:
        """Return what a reader may want to see of a prediction; `run --inspect` stores it. Here nothing."""
        return Inspection({}, {})

    def statistics(self, client: Client, batch: Batch) -> dict[str, Tensor]:
        """Return sums over a batch, which the harness adds up over the local training data.

        Called after training, in evaluation mode, or on the last batches of a phase that collects, before their steps.
        Here there are none.
        """
        return {}

    # Messages: once per client and round.

    def download(self, server: State, client: ClientInfo) -> Message:
        """Return what the server sends to a participant before training: here the shared parts."""
        return {name: server[name] for name in self.shares()}

    def receive(self, state: State, message: Message, client: ClientInfo) -> State:
        """Return a client's state after a download: here the message replaces what was held under the same names."""
        return state | message

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Return what a participant sends after training: here the shared parts."""
        return {name: client.parts[name].state_dict() for name in self.shares()}

    # For an audit of privacy, never in a run: what messages give away is judged by the same attacks for all methods.

    def record_message(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """Return what a client would send that has just trained on one record, and whose statistics are this record's.

        Here what it uploads. A method overrides it whose upload leaves out what a stronger attacker would look at.
        """
        return self.upload(client, statistics)

    def decoded(self, message: Message, server: State) -> Message:
        """Return an upload in numbers whose sum over records means something: here as it is, without a code."""
        return message

    # Server.

    def server_init(self, task: Task) -> State:
        """Return what the server holds before the first round: here the shared parts in their initial weights."""
        if not self.shares():
            return {}
        parts = initial_parts(self, task, client=None)
        return {name: parts[name].to(task.images.device).state_dict() for name in self.shares()}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """Return the server's state after a round: here with the mean of what the participants sent."""
        return server | inbox.mean(self.shares())


def with_client_rate(method: Method, lr: float) -> Method:
    """The method with the clients' learning rate in place of rates that follow it and are not set."""
    resolved = copy(method)  # not a new instance: one that is watched has hooks of its own
    for name in _marked(method, FollowsClient):
        if getattr(method, name) is None:
            object.__setattr__(resolved, name, lr)
    return resolved


def misspelt_hooks(cls: type[Method]) -> list[str]:
    """Say of functions of a method that are no hooks but are called nearly as one: nobody would ever call them."""
    hooks = [name for name, _ in inspect.getmembers(Method, inspect.isfunction) if not name.startswith("_")]
    own = [name for name, value in vars(cls).items() if inspect.isfunction(value) and not name.startswith("_")]
    near = {name: get_close_matches(name.lower(), hooks, n=1, cutoff=0.8) for name in own if name not in hooks}
    return [f"{cls.__name__} has {name}, which is no hook; did you mean {of[0]}?" for name, of in near.items() if of]


def hyperparameters_of(method: Method) -> dict[str, Any]:
    """Return the fields by name, without later ones that have the method do what it did before they came."""
    later = _marked(method, Before)
    return {k: v for k, v in asdict(method).items() if k not in later or v != later[k].value}


def _marked(method: Method, kind: type[Mark]) -> dict[str, Mark]:
    """Return the fields whose type has a mark of this kind -> the mark."""
    hints = get_type_hints(type(method), include_extras=True)
    return {f.name: mark for f in fields(method) for mark in get_args(hints[f.name]) if isinstance(mark, kind)}


def initial_parts(method: Method, task: Task, client: int | None) -> dict[str, nn.Module]:
    """Build modules for a client (None: for the server), in initial weights that depend on seed, client and part.

    The local network has the same weights under every method; the small one has the same for every client.
    """
    with torch_seeded("init", seed=task.seed, client=task.owner(client), part="private"):
        return method.parts(task.local_model(client), task)


def weights(parts: Mapping[str, nn.Module]) -> State:
    """Return the weights and buffers of parts as a state that shares their memory."""
    return {name: module.state_dict() for name, module in parts.items()}


__all__ = [
    "WHOLE",
    "Batch",
    "Inspection",
    "Loss",
    "Method",
    "Phase",
    "Predictor",
    "hyperparameters_of",
    "initial_parts",
    "weights",
]
