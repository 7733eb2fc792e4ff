"""The round loop: reads like the algorithm box of a paper."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import isfinite
from typing import Any

import torch

from benchmark.channel import Channel, Inbox, Message, Progress, State, copied
from benchmark.client import Client, ClientInfo
from benchmark.config import FederationConfig
from benchmark.engine.eager import EagerEngine, Start, Trained
from benchmark.engine.inspection import weights_by_class
from benchmark.errors import Diverged
from benchmark.measure.clock import Stopwatch
from benchmark.measure.flops import FlopCounter
from benchmark.method import Method
from benchmark.schedule import Schedule
from benchmark.seeds import torch_seeded
from benchmark.storage.client_states import ClientStates
from benchmark.task import Task

Record = dict[str, Any]
"""One line of rounds.jsonl."""
Scores = Mapping[str, tuple[dict[str, int], int]]
"""Moment -> (correct predictions by predictor, samples) of one client on its own data."""


class Federation:
    """A server, its clients, and what they hold between rounds.

    server: the server's state; states: client id -> its state, for clients that have taken part
    """

    def __init__(
        self,
        method: Method,
        task: Task,
        config: FederationConfig,
        device: torch.device,
        inspects: bool = False,
        engine: type[EagerEngine] = EagerEngine,
        state_bytes: int | None = None,
    ) -> None:
        """Nothing has happened yet.

        inspects: records tell what the method shows of its predictions; state_bytes: the most that states of clients
        take in memory once they are kept in a folder, None: by what is available.
        """
        self.method, self.config, self.inspects = method, config, inspects
        self.task = task.to(device)
        self.device = device
        self.engine = engine(method, self.task, config, device)
        self.schedule = Schedule(self.task, config)
        with torch_seeded("init", seed=task.seed, client="server", part="state"):
            self.server: State = copied(method.server_init(self.task))
        self._first_server = self.server
        self.states = ClientStates(device, state_bytes)
        self._own_scores: dict[int, Scores] = {}  # of clients that have not changed since they were evaluated

    def run(self, rounds_done: int = 0) -> Iterator[Record]:
        """All rounds, or those that are left, one record each."""
        for t in range(rounds_done, self.config.rounds):
            yield self.round(t)

    def round(self, t: int) -> Record:
        """One round: participants download, train and upload; the server aggregates; all clients are evaluated."""
        with torch_seeded("server", seed=self.task.seed, round=t):
            return self._round(t)

    def _round(self, t: int) -> Record:
        method, engine = self.method, self.engine
        engine.progress = Progress(t + 1, self.config.rounds)
        participants = self.schedule.participants(t)
        channel = Channel({k: self.task.infos[k].num_samples for k in participants}, engine.progress)
        turns: dict[int, Trained] = {}

        self.states.expect(participants)
        for client, trained in engine.turns(self._starts(participants, channel)):
            k = client.info.id
            turns[k], self.states[k] = trained, engine.state(client)
            self._own_scores.pop(k, None)
            engine.recall.forget(k)
            with trained.watch.measure("messages"):
                message = method.upload(client, trained.statistics)
            channel.up(k, message)
        losses = _losses(turns)
        watch = Stopwatch(self.device)
        self.server, flops = self._aggregate(t, channel.inbox(), watch)

        record = _record(t, turns, losses, channel) | {"server_flops": flops}
        if (t + 1) % self.config.eval_every == 0 or t + 1 == self.config.rounds:
            with watch.measure("evaluation"):
                record |= self._evaluate()
            if self.inspects:
                record |= {"inspection": self._inspected()}
        return record | {"server_seconds": watch.seconds["server"], "eval_seconds": watch.seconds["evaluation"]}

    def _starts(self, participants: Iterable[int], channel: Channel) -> Iterator[Start]:
        """Each participant of a round after its download."""
        t = self.engine.progress.round - 1
        for k in participants:
            info, watch = self._info(k, t + 1), Stopwatch(self.device)
            state, message = self.state(k), channel.down(k, self.method.download(self.server, info))
            with watch.measure("messages"):
                state = self.method.receive(state, message, info)
            yield Start(k, state, partial(self.schedule.epochs, k, t), watch)

    def _aggregate(self, t: int, inbox: Inbox, watch: Stopwatch) -> tuple[State, int]:
        """The server's new state and its FLOPs: once to count, which takes time of its own, then once by the clock."""
        with torch_seeded("server", seed=self.task.seed, round=t), FlopCounter() as counter:
            self.method.aggregate(self.server, inbox)
        with torch_seeded("server", seed=self.task.seed, round=t), watch.measure("server"):
            return copied(self.method.aggregate(self.server, inbox)), counter.total

    def state(self, client: int) -> State:
        """A client's state; of one that has never taken part, its initial one with the server's initial message.

        Both follow from the seed, so they cost no bytes, and memory only as long as there is some to spare.
        """
        if client in self.states:
            return self.states[client]
        return self.states.initial(client, partial(self._initial_state, client))

    def _initial_state(self, k: int) -> State:
        info = self._info(k, 1)
        with torch_seeded("init", seed=self.task.seed, client=k, part="state"):
            message = self.method.download(self._first_server, info)
            return self.method.receive(self.engine.initial_state(k), message, info)

    def _info(self, k: int, round_: int) -> ClientInfo:
        """What the server knows of a client in a round, numbered from 1 on."""
        return replace(self.task.infos[k], progress=Progress(round_, self.config.rounds))

    def client(self, k: int) -> Client:
        """A client as it is now, until the next one is loaded."""
        return self.engine.load(k, self.state(k))

    def _inspected(self) -> dict[str, list[dict[str, float]]]:
        """What is weighed -> per client, class -> mean weight."""
        clients = [weights_by_class(self.engine, self.client(k)) for k in range(self.task.num_clients)]
        return {name: [weights[name] for weights in clients] for name in clients[0]}

    def _evaluate(self) -> Record:
        """Scores of all clients; the first predictor is the headline, all are kept."""
        ids, some_download = range(self.task.num_clients), bool(self._next_download(0))
        self.states.expect(k for k in ids if some_download or k not in self._own_scores)
        clients = [self._scores(k) for k in ids]

        def of(predictor: str, moment: str) -> Mapping[str, list[int]]:
            correct, total = zip(*((counts[predictor], n) for counts, n in (c[moment] for c in clients)), strict=True)
            return {"correct": list(correct), "total": list(total)}

        headline, *others = self.method.predictors()
        record: Record = {moment: of(headline, moment) for moment in clients[0]}
        moments = ("post_local", "post_download")
        return record | {"predictors": {name: {moment: of(name, moment) for moment in moments} for name in others}}

    def _scores(self, k: int) -> Scores:
        """A client's scores as it is (post_local, and validation where it has such samples) and after a download."""
        state = None
        if k not in self._own_scores:
            state = self.state(k)
            self._own_scores[k] = self._scored(self.engine.load(k, state))
        own, test = self._own_scores[k], self.task.clients[k].test
        if (downloaded := self.after_download(k, state)) is None:
            return {**own, "post_download": own["post_local"]}
        client, unchanged = downloaded
        return {**own, "post_download": (self.engine.evaluate(client, test, "test", unchanged), len(test))}

    def after_download(self, k: int, state: State | None = None) -> tuple[Client, list[str]] | None:
        """A client as it will be after the next download, and which of its parts that leaves alone; None: all of it.

        state: its state now, where that is at hand
        """
        if not (message := self._next_download(k)):
            return None
        state = self.state(k) if state is None else state
        received = self.method.receive(state, message, self._next_info(k))
        client = self.engine.load(k, received)
        return client, [name for name in client.parts if received[name] is state[name]]

    def _next_download(self, k: int) -> Message:
        return self.method.download(self.server, self._next_info(k))

    def _next_info(self, k: int) -> ClientInfo:
        return self._info(k, self.engine.progress.round + 1)

    def _scored(self, client: Client) -> Scores:
        """A client's scores with the weights that it has trained."""
        data = self.task.clients[client.info.id]
        scores = {"post_local": (self.engine.evaluate(client, data.test, "test", client.parts), len(data.test))}
        if len(data.validation):
            counts = self.engine.evaluate(client, data.validation, "validation", client.parts)
            scores["validation"] = (counts, len(data.validation))
        return scores


def _losses(turns: Mapping[int, Trained]) -> dict[int, float]:
    """Each participant's mean loss: what a round waits for first. Raises Diverged where one is not finite."""
    sums = torch.stack([turn.loss for turn in turns.values()]).tolist()
    losses = {k: total / turn.steps for (k, turn), total in zip(turns.items(), sums, strict=True)}
    for k, loss in losses.items():
        if not isfinite(loss):
            raise Diverged(f"the training loss of client {k} is {loss}")
    return losses


def _record(t: int, turns: Mapping[int, Trained], losses: Mapping[int, float], channel: Channel) -> Record:
    """What a round cost, in all and by participant; round numbers start at 1."""
    up, down = channel.bytes("up"), channel.bytes("down")
    steps = sum(turn.steps for turn in turns.values())
    clients: list[Record] = [
        {
            "id": k,
            "steps": turn.steps,
            "train_loss": losses[k],
            "flops": turn.flops,
            "seconds": turn.watch.seconds,
            "bytes_up": up[k],
            "bytes_down": down[k],
        }
        for k, turn in turns.items()
    ]
    return {
        "round": t + 1,
        "participants": list(turns),
        "train_loss": sum(losses[k] * turn.steps for k, turn in turns.items()) / steps,
        "bytes_up": sum(size for sizes in up.values() for size in sizes.values()),
        "bytes_down": sum(size for sizes in down.values() for size in sizes.values()),
        "client_flops": sum(turn.flops for turn in turns.values()),
        "client_seconds": sum(sum(client["seconds"].values()) for client in clients),
        "clients": clients,
    }
