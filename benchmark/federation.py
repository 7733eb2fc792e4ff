"""The round loop: reads like the algorithm box of a paper."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from benchmark.channel import Channel, State
from benchmark.config import FederationConfig
from benchmark.cost import FlopCounter, Stopwatch
from benchmark.engine.eager import EagerEngine, Trained
from benchmark.method import Method
from benchmark.schedule import Schedule
from benchmark.seeds import torch_seeded
from benchmark.task import Task

Record = dict[str, Any]
"""One line of rounds.jsonl."""


class Federation:
    """A server, its clients, and what they hold between rounds.

    server: the server's state; states: client id -> its state, for clients that have taken part
    """

    def __init__(self, method: Method, task: Task, config: FederationConfig, device: torch.device) -> None:
        """Nothing has happened yet."""
        self.method, self.config = method, config
        self.task = task.to(device)
        self.device = device
        self.engine = EagerEngine(method, self.task, config, device)
        self.schedule = Schedule(self.task, config)
        self.server: State = method.server_init(self.task)
        self._first_server = self.server
        self.states: dict[int, State] = {}

    def run(self) -> Iterator[Record]:
        """All rounds, one record each."""
        for t in range(self.config.rounds):
            yield self.round(t)

    def round(self, t: int) -> Record:
        """One round: participants download, train and upload; the server aggregates; all clients are evaluated."""
        method, engine = self.method, self.engine
        channel = Channel({info.id: info.num_samples for info in self.task.infos})
        trained: dict[int, Trained] = {}
        watch = Stopwatch(self.device)

        for k in self.schedule.participants(t):
            message = channel.down(k, method.download(self.server, self.task.infos[k]))
            client = engine.load(k, method.receive(self.state(k), message))
            with torch_seeded("training", seed=self.task.seed, client=k, round=t):
                trained[k] = engine.train(client, self.schedule.epochs(k, t))
            self.states[k] = engine.state(client)
            channel.up(k, method.upload(client, trained[k].statistics))
        with watch.measure("server"), FlopCounter() as server_work:
            self.server = method.aggregate(self.server, channel.inbox())

        record = _record(t, trained, channel) | {"server_flops": server_work.total}
        if (t + 1) % self.config.eval_every == 0 or t + 1 == self.config.rounds:
            with watch.measure("evaluation"):
                record |= self._evaluate()
        return record | {"server_seconds": watch.seconds["server"], "eval_seconds": watch.seconds["evaluation"]}

    def state(self, client: int) -> State:
        """A client's state; of one that has never taken part, its initial one with the server's initial message.

        Both follow from the seed, so they cost neither memory nor bytes.
        """
        if client in self.states:
            return self.states[client]
        message = self.method.download(self._first_server, self.task.infos[client])
        return self.method.receive(self.engine.initial_state(client), message)

    def _evaluate(self) -> Record:
        """Every client on its own samples, as it is (post_local) and after the next download (post_download).

        The first predictor is the headline; all are kept. Validation is post_local.
        """
        correct: dict[str, list[dict[str, int]]] = {"post_local": [], "post_download": [], "validation": []}
        for k, data in enumerate(self.task.clients):
            state = self.state(k)
            client = self.engine.load(k, state)
            correct["post_local"].append(self.engine.evaluate(client, data.test))
            if len(data.validation):
                correct["validation"].append(self.engine.evaluate(client, data.validation))
            if message := self.method.download(self.server, self.task.infos[k]):
                client = self.engine.load(k, self.method.receive(state, message))
                correct["post_download"].append(self.engine.evaluate(client, data.test))
            else:
                correct["post_download"].append(correct["post_local"][-1])
        headline, *others = self.method.predictors()
        total = {"validation": [len(data.validation) for data in self.task.clients]}
        tests = [len(data.test) for data in self.task.clients]

        def scores(moment: str, predictor: str) -> Mapping[str, list[int]]:
            return {"correct": [c[predictor] for c in correct[moment]], "total": total.get(moment, tests)}

        record: Record = {moment: scores(moment, headline) for moment, counts in correct.items() if counts}
        record["predictors"] = {
            name: {moment: scores(moment, name) for moment in ("post_local", "post_download")} for name in others
        }
        return record


def _record(t: int, trained: Mapping[int, Trained], channel: Channel) -> Record:
    """What a round cost, in all and by participant; round numbers start at 1."""
    seconds = {k: sum(turn.seconds.values()) for k, turn in trained.items()}
    steps = sum(turn.steps for turn in trained.values())
    return {
        "round": t + 1,
        "participants": list(trained),
        "train_loss": sum(turn.loss * turn.steps for turn in trained.values()) / steps,
        "bytes_up": channel.total("up"),
        "bytes_down": channel.total("down"),
        "client_flops": sum(turn.flops for turn in trained.values()),
        "client_seconds": sum(seconds.values()),
        "clients": [
            {
                "id": k,
                "steps": turn.steps,
                "train_loss": turn.loss,
                "flops": turn.flops,
                "seconds": dict(turn.seconds),
                "bytes_up": channel.bytes["up"][k],
                "bytes_down": channel.bytes["down"][k],
            }
            for k, turn in trained.items()
        ],
    }
