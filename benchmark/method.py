"""What a method is: who holds what, what is minimised, and what travels. The loop, the optimiser and the counting are
the harness's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.channel import Inbox, Message, State
from benchmark.client import Client, ClientInfo
from benchmark.models.line_up import LocalModel
from benchmark.seeds import torch_seeded
from benchmark.task import Task

Stretch = tuple[float, float]
"""From where to where in a client's training samples, which lie in random order: (0, 0.1) is a tenth of them."""
WHOLE: Stretch = (0.0, 1.0)
"""All of a client's training samples."""


class Batch(NamedTuple):
    """x: [B, c, h, w] float, normalised; y: [B] int64 labels."""

    x: Tensor
    y: Tensor


class Inspection(NamedTuple):
    """What there is to look at in the prediction of a batch, by name.

    weights:         [B] each, how much each expert counts, sample by sample
    representations: [B, d] each, of one width
    """

    weights: Mapping[str, Tensor]
    representations: Mapping[str, Tensor]


Loss = Callable[..., Tensor]
"""(client, batch) -> scalar; of a phase on several stretches (client, batch, batch, ...), one of each."""
Predictor = Callable[[Client, Tensor], Tensor]


@dataclass(frozen=True)
class Phase:
    """One block of local training."""

    trains: tuple[str, ...] | None = None
    """Names of the parts that are trained; the others stand still. None: every part the client holds."""
    loss: Loss | None = None
    """What is minimised. None: the method's loss."""
    lr: Mapping[str, float] = field(default_factory=dict)
    """Learning rate per part; the federation's for parts that are not named."""
    weight_decay: float | None = None
    """Of all parts in this phase. None: the federation's."""
    epochs: int | None = None
    """Passes over the local data. None: the federation's local epochs."""
    steps: int | None = None
    """Steps at most. None: as many as the passes have."""
    samples: tuple[Stretch, ...] = (WHOLE,)
    """Stretches of the local training data; a step takes one batch from each, as long as all have one."""


@dataclass(frozen=True)
class Method:
    """A method of federated learning; its fields are its hyper-parameters.

    A method overrides what it does differently. The hooks on batches see fixed shapes and never wait for the device:
    no .item(), no branch on a tensor, no indexing with a boolean mask.
    """

    # Declared.

    def parts(self, model: LocalModel, task: Task) -> dict[str, nn.Module]:
        """The modules that a client holds, by name: here extractor and header of its own network."""
        return {"extractor": model.extractor, "header": model.header}

    def shares(self) -> tuple[str, ...]:
        """Names of the parts that are sent both ways and averaged, weighted with n_k over the participants."""
        return ()

    def phases(self) -> tuple[Phase, ...]:
        """The blocks of local training, in order: here one, over all parts."""
        return (Phase(),)

    def unsupported(self, task: Task) -> str | None:
        """Why the method can't work on this task, in one line, or None. Asked before anything runs."""
        return None

    # On batches.

    def loss(self, client: Client, batch: Batch) -> Tensor:
        """What a client minimises: here cross-entropy of its prediction."""
        return F.cross_entropy(self.predict(client, batch.x), batch.y)

    def project(self, client: Client) -> None:
        """After every step, without gradients: put weights back to where they may be, in place. Here they may be
        anywhere.
        """

    def predict(self, client: Client, x: Tensor) -> Tensor:
        """Scores [B, C] of the client's classes: here header(extractor(x)). Loss and evaluation share it."""
        return client.header(client.extractor(x))

    def predictors(self) -> Mapping[str, Predictor]:
        """The ways to predict, by name; the first is the headline, all are recorded.

        A row of scores that is -inf throughout is no prediction, and counts as wrong.
        """
        return {"header": self.predict}

    def inspect(self, client: Client, x: Tensor) -> Inspection:
        """What a reader may want to see of a prediction; `run --inspect` stores it. Here nothing."""
        return Inspection({}, {})

    def statistics(self, client: Client, batch: Batch) -> dict[str, Tensor]:
        """Sums over the local training data, taken after training in evaluation mode: here none."""
        return {}

    # Messages: once per client and round.

    def download(self, server: State, client: ClientInfo) -> Message:
        """What the server sends to a participant before training: here the shared parts."""
        return {name: server[name] for name in self.shares()}

    def receive(self, state: State, message: Message, client: ClientInfo) -> State:
        """A client's state after a download: here what came replaces what was held under the same name."""
        return state | message

    def upload(self, client: Client, statistics: dict[str, Tensor]) -> Message:
        """What a participant sends after training: here the shared parts."""
        return {name: client.parts[name].state_dict() for name in self.shares()}

    # Server.

    def server_init(self, task: Task) -> State:
        """What the server holds before the first round: here the shared parts in their initial weights."""
        if not self.shares():
            return {}
        parts = initial_parts(self, task, client=None)
        return {name: parts[name].to(task.images.device).state_dict() for name in self.shares()}

    def aggregate(self, server: State, inbox: Inbox) -> State:
        """The server's state after a round: here the mean of what the participants sent."""
        return server | inbox.mean(self.shares())


def initial_parts(method: Method, task: Task, client: int | None) -> dict[str, nn.Module]:
    """New modules for a client (None: for the server), in initial weights that depend on seed, client and part.

    The local network has the same weights under every method; the small one has the same for every client.
    """
    with torch_seeded("init", seed=task.seed, client="server" if client is None else client, part="private"):
        return method.parts(task.local_model(client), task)


def weights(parts: Mapping[str, nn.Module]) -> State:
    """The weights and buffers of parts as a state that shares their memory."""
    return {name: module.state_dict() for name, module in parts.items()}


__all__ = [
    "WHOLE",
    "Batch",
    "Inspection",
    "Loss",
    "Method",
    "Phase",
    "Predictor",
    "initial_parts",
    "weights",
]
