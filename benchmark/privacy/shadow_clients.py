"""Clients that an attacker trains on data of its own, as the victim trains on its data."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.channel import Message, RoundNumber, State, Wire, copied, same
from benchmark.config import FederationConfig
from benchmark.defence.wire import wire_of
from benchmark.engine.eager import EagerEngine
from benchmark.measure.meter import Meter
from benchmark.method import Method
from benchmark.schedule import Schedule
from benchmark.task import ClientData, Task

SURROGATE_SEED = 1_000_003
"""What an attacker adds to the seed of a run: it does not know the initial weights of private networks."""


class Shadow(NamedTuple):
    """A client after its training: its state, and what it sends."""

    state: State
    message: Message


class ShadowClients:
    """A laboratory with an engine of its own, so that nothing of a run is touched.

    Its clients have the numbers, and so the architectures, of those in the task. Defences that the attacker knows are
    part of what they send.
    """

    def __init__(self, method: Method, task: Task, config: FederationConfig, device: torch.device) -> None:
        self.engine = EagerEngine(method, task, config, device)
        self._task, self._config, self._sent = task, config, 0

    def with_data(self, client: int, samples: Tensor) -> None:
        """Give a client these training samples in place of its own, and all others theirs."""
        clients: Sequence[ClientData] = [
            replace(data, train=samples) if k == client else data for k, data in enumerate(self._task.clients)
        ]
        self.engine.task = replace(self._task, clients=tuple(clients))

    def train(self, client: int, state: State, samples: Tensor, t: RoundNumber) -> Shadow:
        """Train a client from a state on these samples, through all phases of the method in round t."""
        self.with_data(client, samples)
        method, engine = self.engine.method, self.engine
        epochs = partial(Schedule(engine.task, engine.config).epochs, client, t.round)
        loaded = engine.load(client, state, t)
        trained = engine.train_client(loaded, epochs, Meter(engine.device))
        message = copied(method.upload(loaded, trained.statistics))
        shadow = Shadow(copied(engine.state(loaded)), message)
        self.engine.task = self._task
        return shadow

    def defended(self, client: int, message: Message, download: Message, t: RoundNumber, noise: bool) -> Message:
        """Return what travels in place of a message under the defences of the run, with random draws of its own.

        noise: False for an attacker's best guess of what is below the noise, whose mean is zero
        """
        self._sent += 1
        return self.wire(t, noise).protected(client, message, download)

    def wire(self, t: RoundNumber, noise: bool = True) -> Wire:
        """Return a wire like that of a round. Its seed is new for each message: the run's noise is not known."""
        config = self._config if noise else self._config.model_copy(update={"dp_epsilon": None})
        participants = Schedule(self._task, self._config).participants(t.round)
        samples = {k: self._task.infos[k].num_samples for k in participants}
        return wire_of(config, SURROGATE_SEED + self._sent, t, samples)

    def surrogate(
        self,
        client: int,
        before: State,
        download: Message,
        samples: Tensor,
        t: RoundNumber,
        rounds: int,
        guess: int = 0,
    ) -> State:
        """Return a client's state as one has to guess it who has only seen what was sent to the client.

        Values that it holds besides its parts, which came from the server, are those of its true state, and what was
        just sent is as it was received. Parts are trained from other initial weights on these samples, for so many
        rounds. guess: which of several such weights
        """
        self.engine.task = replace(self._task, seed=self._task.seed + SURROGATE_SEED * (1 + guess))
        initial = copied(self.engine.initial_state(client))
        info = replace(self._task.infos[client], progress=t)
        state = initial | {name: value for name, value in before.items() if name not in initial}
        begun = self.engine.method.receive(state, download, info)
        known = {name: value for name, value in begun.items() if not same(value, state.get(name))}
        state = begun
        for _ in range(rounds):
            state = self.train(client, state, samples, t).state | known
        return state
