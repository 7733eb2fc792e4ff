"""The round loop: download, train, upload, aggregate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import isfinite

import torch

from benchmark.channel import FIRST, Channel, Inbox, Observer, RoundNumber, State, copied, wire_shape
from benchmark.client import Client, ClientInfo
from benchmark.config import FederationConfig
from benchmark.defence.wire import wire_of
from benchmark.engine.eager import EagerEngine, Participant, Trained, place
from benchmark.errors import Diverged, located
from benchmark.evaluation import Evaluation
from benchmark.measure.meter import Meter
from benchmark.method import Method, with_client_rate
from benchmark.schedule import Schedule
from benchmark.seeds import seed_round, torch_seeded
from benchmark.storage.client_states import ClientStates
from benchmark.storage.schema import ClientRound, Round
from benchmark.task import Task


class Federation:
    """A server, its clients, and the states that they hold between rounds.

    server: the server's state; states: client id -> its state, for clients that have taken part
    state_bytes: most bytes that states of clients take in memory once they are kept in a folder; None: a share of
    what is available
    """

    def __init__(
        self,
        method: Method,
        task: Task,
        config: FederationConfig,
        device: torch.device,
        *,
        engine: type[EagerEngine] = EagerEngine,
        schedule: type[Schedule] = Schedule,
        observers: Sequence[Observer] = (),
        state_bytes: int | None = None,
    ) -> None:
        method = with_client_rate(method, config.lr)
        self.method, self.config, self.device, self.observers = method, config, device, observers
        self.task = replace(task, initial=config.initial).to(device)
        self.engine = engine(method, self.task, config, device)
        self.schedule = schedule(self.task, config)
        with torch_seeded("init", seed=task.seed, client="server", part="state"), located("server, initial state"):
            self.server: State = copied(method.server_init(self.task))
        self._first_server = self.server
        self.states = ClientStates(device, state_bytes)
        self.evaluation = Evaluation(self.engine, self.schedule, self.info, self.states, self.state)

    def run(self, rounds_done: int = 0) -> Iterator[Round]:
        """Do all rounds, or those that are left; yield the record of each."""
        for t in range(rounds_done + 1, self.config.rounds + 1):
            yield self.round(t)

    def round(self, t: int) -> Round:
        """Do round t of the algorithm, counted from 1; return its record."""
        now, meter = RoundNumber(t, self.config.rounds), Meter(self.device)
        for observer in self.observers:
            with torch_seeded("observer"), located(f"round {t}, {type(observer).__name__} at its beginning"):
                observer.round_begins(self, now)
        participants = self.schedule.participants(t)
        num_samples = {k: self.task.infos[k].num_samples for k in participants}
        wire = wire_of(self.config, self.task.seed, now, num_samples)
        channel = Channel(num_samples, now, self.observers, wire)
        trained: dict[int, Trained] = {}
        self.states.expect(participants)
        with torch_seeded("server", seed=self.task.seed, round=seed_round(t)):
            downloads = (self._download(k, now, channel, meter) for k in participants)
            for client, result in self.engine.train(downloads, now):
                trained[client.info.id] = result
                self._upload(client, result, channel)
            losses = _mean_losses(trained)
            self._aggregate(channel.inbox(), now, meter)
            record = _record(now, trained, losses, channel, meter.flops)
            if t % self.config.eval_every == 0 or t == self.config.rounds:
                with meter.measure("evaluation"):
                    self.evaluation.add_scores(record, self.server, now)
                if self.config.finetune:
                    self.evaluation.add_fine_tuned(record, self.server, now)
        record["server_seconds"], record["eval_seconds"] = meter.seconds["server"], meter.seconds["evaluation"]
        for observer in self.observers:
            with torch_seeded("observer"), located(f"round {t}, {type(observer).__name__} at its end"):
                observer.round_over(self, record)
        return record

    def _download(self, k: int, t: RoundNumber, channel: Channel, meter: Meter) -> Participant:
        """Return client k after its download; training asks for it when its turn comes. meter: the server's."""
        info, state, own = self.info(k, t), self.state(k), Meter(self.device)
        with located(f"client {k}, round {t.round}, download"), meter.meter("server"):
            message = self.method.download(self.server, info)
        message = channel.down(k, message, self.server)
        with located(f"client {k}, round {t.round}, receive"), own.meter("messages"):
            state = self.method.receive(state, message, info)
        return Participant(k, state, partial(self.schedule.epochs, k, t.round), own)

    def _upload(self, client: Client, trained: Trained, channel: Channel) -> None:
        """Keep the state of a client after its training, and carry the message that the method makes of it."""
        k = client.info.id
        with located(f"{place(client)}, state"):
            self.states[k] = self.engine.state(client)
        self.evaluation.forget(k)
        with located(f"{place(client)}, upload"), trained.meter.meter("messages"):
            message = self.method.upload(client, trained.statistics)
        channel.up(k, message, self.states[k])

    def _aggregate(self, inbox: Inbox, t: RoundNumber, meter: Meter) -> None:
        """Give the server its new state. Its FLOPs are counted off the clock, once for each shape of the input."""
        aggregate = partial(self.method.aggregate, self.server, inbox)
        with located(f"server, round {t.round}, aggregate"):
            meter.flops += self.engine.flops.of(("server", wire_shape(self.server), inbox.shape), aggregate)
            with torch_seeded("server", seed=self.task.seed, round=seed_round(t.round)), meter.measure("server"):
                self.server = copied(aggregate())

    def state(self, client: int) -> State:
        """Return a client's state; if it has never taken part, its initial one after the server's initial message.

        Both follow from the seed, so they cost no bytes, and memory only as long as there is some to spare.
        """
        if client in self.states:
            return self.states[client]
        return self.states.initial(client, partial(self._initial_state, client))

    def _initial_state(self, k: int) -> State:
        info = self.info(k, RoundNumber(1, self.config.rounds))
        with torch_seeded("init", seed=self.task.seed, client=k, part="state"), located(f"client {k}, initial state"):
            message = self.method.download(self._first_server, info)
            return self.method.receive(self.engine.initial_state(k), message, info)

    def info(self, k: int, t: RoundNumber) -> ClientInfo:
        """Return the facts that the server knows of a client in round t."""
        return replace(self.task.infos[k], progress=t)

    def client(self, k: int, t: RoundNumber = FIRST) -> Client:
        """Load a client as it is now, in round t; it is valid until the next one is loaded."""
        return self.engine.load(k, self.state(k), t)


def _mean_losses(trained: Mapping[int, Trained]) -> dict[int, float]:
    """Return each participant's mean loss, the first wait for the device. Raises Diverged if one is not finite."""
    sums = torch.stack([result.loss for result in trained.values()]).tolist()
    losses = {k: total / result.steps for (k, result), total in zip(trained.items(), sums, strict=True)}
    for k, loss in losses.items():
        if not isfinite(loss):
            raise Diverged(f"the training loss of client {k} is {loss}")
    return losses


def _record(
    t: RoundNumber, trained: Mapping[int, Trained], losses: Mapping[int, float], channel: Channel, server_flops: int
) -> Round:
    """Return the record of a round before its evaluation: its costs, in all and by participant."""
    up, down = channel.bytes("up"), channel.bytes("down")
    clients = [
        ClientRound(
            id=k,
            steps=result.steps,
            train_loss=losses[k],
            flops=result.flops + result.meter.flops,
            seconds=result.meter.seconds,
            bytes_up=up[k],
            bytes_down=down[k],
        )
        for k, result in trained.items()
    ]
    steps = sum(result.steps for result in trained.values())
    return Round(
        round=t.round,
        participants=list(trained),
        train_loss=sum(losses[k] * result.steps for k, result in trained.items()) / steps,
        bytes_up=sum(size for sizes in up.values() for size in sizes.values()),
        bytes_down=sum(size for sizes in down.values() for size in sizes.values()),
        client_flops=sum(client["flops"] for client in clients),
        client_seconds=sum(sum(client["seconds"].values()) for client in clients),
        clients=clients,
        server_flops=server_flops,
        server_seconds=0.0,
        eval_seconds=0.0,
    )
