"""P4: how near does a server come to a client's private network? Agreement of its best copy with the original.

The copy is the server's surrogate client, which trains on auxiliary records after it has received the client's message
in place of the broadcast. Where a part that travels maps pictures to classes, or all parts travel, it is the copy as it
stands.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State, same
from benchmark.client import Client
from benchmark.engine.eager import EVALUATION_BATCH, EagerEngine, frozen
from benchmark.method import Method
from benchmark.privacy.audit_size import AuditSize
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.privacy.vectors import same_structure
from benchmark.seeds import torch_seeded
from benchmark.task import Task

DISTILLATION_RATE = 1e-3
DISTILLATION_BATCH = 64


class PrivateModelAttack:
    """The attack on one client: copies of its network from the download alone, and from its message.

    samples: auxiliary records; test: those on which predictions are compared
    """

    def __init__(
        self, lab: ShadowClients, client: int, t: RoundNumber, samples: Tensor, test: Tensor, size: AuditSize
    ) -> None:
        self._lab, self._client, self._t, self._size = lab, client, t, size
        self._samples, self._test = samples, test
        self._info = replace(lab.engine.task.infos[client], progress=t)

    def message_stands_in(self, state: State, download: Message) -> bool:
        """Return whether a message can stand in place of the broadcast: what is received twice is as if once.

        It can't where clients add what they receive to what they have.
        """
        receive = self._lab.engine.method.receive
        once = receive(state, download, self._info)
        again = receive(once, download, self._info)
        return all(same(value, again.get(name)) for name, value in once.items())

    def predicted(self, state: State) -> Tensor:
        """Return the classes [n] that a client in this state names."""
        return self._scores(state, self._test).argmax(1)

    def copy(self, surrogate: State, download: Message, message: Message) -> Tensor:
        """Return the classes [n] that the copy names. message: sent by the client; {} for none."""
        sent = {**download, **received(message, download)}
        lab, engine = self._lab, self._lab.engine
        state = engine.method.receive(surrogate, sent, self._info)
        if sent.keys() >= engine.load(self._client, state, self._t).parts.keys():
            return self.predicted(state)  # nothing is private
        if part := self._classifier(state, sent):
            return self._of_part(state, part)
        for _ in range(self._size.passes):
            state = lab.train(self._client, state, self._samples, self._t).state
        return self.predicted(state)

    def distilled(self, surrogate: State, original: State) -> Tensor:
        """Return the classes [n] that a copy names which was taught the original's outputs: what could be reached."""
        targets = self._scores(original, self._samples).softmax(1)
        engine = self._lab.engine
        client = engine.load(self._client, surrogate, self._t)
        tensors = [tensor for module in client.parts.values() for tensor in module.eval().requires_grad_().parameters()]
        optimiser = torch.optim.Adam(tensors, lr=DISTILLATION_RATE)
        for _ in range(self._size.distillation_passes):
            for chosen in torch.randperm(len(self._samples)).split(DISTILLATION_BATCH):
                chosen = chosen.to(self._samples.device)
                scores = engine.method.predict(client, engine.batch(self._samples[chosen]).x)
                loss = F.kl_div(scores.log_softmax(1), targets[chosen], reduction="batchmean")
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return self._of_client(client, self._test).argmax(1)

    def _scores(self, state: State, indices: Tensor) -> Tensor:
        return self._of_client(self._lab.engine.load(self._client, state, self._t), indices)

    def _of_client(self, client: Client, indices: Tensor) -> Tensor:
        with frozen(client):
            chunks = indices.split(EVALUATION_BATCH)
            return torch.cat([self._lab.engine.method.predict(client, self._lab.engine.batch(c).x) for c in chunks])

    def _classifier(self, state: State, sent: Message) -> str | None:
        """Return the name of a part that was received and maps pictures to classes; None if there is none."""
        engine = self._lab.engine
        client = engine.load(self._client, state, self._t)
        x = engine.batch(self._test[:2]).x
        with frozen(client):
            for name in sent:
                if name in client.parts and _maps_to(client.parts[name], x, engine.task.num_classes):
                    return name
        return None

    def _of_part(self, state: State, part: str) -> Tensor:
        engine = self._lab.engine
        client = engine.load(self._client, state, self._t)
        with frozen(client):
            chunks = self._test.split(EVALUATION_BATCH)
            return torch.cat([client.parts[part](engine.batch(chunk).x).argmax(1) for chunk in chunks])


def _maps_to(part: torch.nn.Module, x: Tensor, classes: int) -> bool:
    """Return whether a part maps pictures to scores of classes; one that takes something else raises."""
    try:
        return tuple(part(x).shape) == (len(x), classes)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
        return False


def record_losses(engine: EagerEngine, client: int, state: State, indices: Tensor, t: RoundNumber) -> Tensor:
    """Return the loss [n] of a client's own predictions on records: what its network would say if it were released."""
    loaded, found = engine.load(client, state, t), []
    with frozen(loaded):
        for chunk in indices.split(EVALUATION_BATCH):
            batch = engine.batch(chunk)
            found.append(F.cross_entropy(engine.method.predict(loaded, batch.x), batch.y, reduction="none"))
    return torch.cat(found)


def private_parts(method: Method, task: Task, client: int, state: State) -> State:
    """Return the weights of a client's own network: of all parts with a tensor of it, whatever they are called.

    Nothing if the method gives its clients other networks.
    """
    with torch_seeded("audit", seed=task.seed, client=client):
        model = task.local_model(client)
        parts = method.parts(model, task)
    own = {id(tensor) for module in (model.extractor, model.header) for tensor in module.parameters()}
    names = [name for name, part in parts.items() if any(id(tensor) in own for tensor in part.parameters())]
    return {name: state[name] for name in names}


def received(message: Message, download: Message) -> Message:
    """Return what of a message can stand in place of the broadcast: values of the same name and structure."""
    return {name: value for name, value in message.items() if same_structure(value, download.get(name))}
