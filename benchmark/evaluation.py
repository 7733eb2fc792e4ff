"""Scores of all clients on their own data: after local training, after the next download, and fine-tuned from there."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch.utils import _pytree as pytree

from benchmark.channel import Message, RoundNumber, State
from benchmark.client import Client, ClientInfo
from benchmark.engine.eager import EagerEngine, LocalWork, Participant
from benchmark.errors import located
from benchmark.measure.meter import Meter
from benchmark.schedule import Schedule
from benchmark.storage.client_states import ClientStates
from benchmark.storage.schema import Round, Scores

ClientScores = Mapping[str, tuple[dict[str, Any], int]]
"""Moment -> (correct predictions by predictor, samples) of one client; predictions are counted on the device."""


class Evaluation:
    """Scores of one federation's clients; its messages are not metered, and no state changes.

    schedule: has the batches of fine-tuning; info: (client, round) -> facts that the server knows of the client then;
    states: of clients that have taken part; state_of: client -> its state, also of one that has never taken part
    """

    def __init__(
        self,
        engine: EagerEngine,
        schedule: Schedule,
        info: Callable[[int, RoundNumber], ClientInfo],
        states: ClientStates,
        state_of: Callable[[int], State],
    ) -> None:
        self._engine, self._schedule = engine, schedule
        self._info, self._states, self._state_of = info, states, state_of
        self._method, self._task = engine.method, engine.task
        self._own: dict[int, ClientScores] = {}  # of clients that have not changed since they were evaluated

    def forget(self, client: int) -> None:
        """Drop the scores and cached outputs of a client that has trained."""
        self._own.pop(client, None)
        self._engine.cache.forget(client)

    def add_scores(self, record: Round, server: State, t: RoundNumber) -> None:
        """Put the scores of all clients after round t into its record; the headline is the first predictor's."""
        ids, some_download = range(self._task.num_clients), bool(self._download(0, server, t))
        self._states.expect(k for k in ids if some_download or k not in self._own)
        clients = _read([self._scores(k, server, t) for k in ids])

        def of(predictor: str, moment: str) -> Scores:
            correct, total = zip(*((counts[predictor], n) for counts, n in (c[moment] for c in clients)), strict=True)
            return {"correct": list(correct), "total": list(total)}

        headline, *others = self._method.predictors()
        moments = clients[0].keys()
        for moment in moments:
            record[moment] = of(headline, moment)  # type: ignore[literal-required]
        kept = [moment for moment in moments if moment != "validation"]
        record["predictors"] = {name: {moment: of(name, moment) for moment in kept} for name in others}

    def add_fine_tuned(self, record: Round, server: State, t: RoundNumber) -> None:
        """Put the scores of all clients after the next download and fine-tuning, and its cost, into a round's record.

        Fine-tuning is the client's local training of the next round, of as many passes as the federation has for it.
        """
        flops, seconds = 0, 0.0
        correct, total = [], []
        waiting = self._fine_tuning(server, t)
        while some := list(islice(waiting, self._engine.config.participants)):  # an engine may hold all it is given
            for client, trained in self._engine.train(some, t.next):
                test = self._task.clients[client.info.id].test
                counts = self._engine.evaluate(client, test, "test", ())
                correct.append(int(next(iter(counts.values()))))
                total.append(len(test))
                flops += trained.flops
                seconds += sum(trained.meter.seconds.values())
        record["post_finetune"] = {"correct": correct, "total": total}
        record["finetune_flops"], record["finetune_seconds"] = flops, seconds

    def _fine_tuning(self, server: State, t: RoundNumber) -> Iterator[Participant]:
        """Yield all clients as they are after the next download, to train on a copy."""
        work = LocalWork(self._engine.config.finetune)
        for k in range(self._task.num_clients):
            info, state = self._info(k, t.next), self._state_of(k)
            if message := self._download(k, server, t):
                with located(f"client {k}, round {t.next.round}, receive for fine-tuning"):
                    state = self._method.receive(state, message, info)
            epochs = partial(self._schedule.epochs, k, t.next.round)
            yield Participant(k, state, epochs, Meter(self._engine.device), work)

    def after_download(
        self, client: int, server: State, t: RoundNumber, state: State | None = None
    ) -> tuple[Client, list[str]] | None:
        """Return a client after the download that follows round t, and the names of the parts that it does not change.

        None if the method sends nothing down. state: the client's state now, if it is at hand
        """
        if not (message := self._download(client, server, t)):
            return None
        state = self._state_of(client) if state is None else state
        with located(f"client {client}, round {t.next.round}, receive for evaluation"):
            received = self._method.receive(state, message, self._info(client, t.next))
        loaded = self._engine.load(client, received, t)
        return loaded, [name for name in loaded.parts if received[name] is state[name]]

    def _download(self, client: int, server: State, t: RoundNumber) -> Message:
        with located(f"client {client}, round {t.next.round}, download for evaluation"):
            return self._method.download(server, self._info(client, t.next))

    def _scores(self, k: int, server: State, t: RoundNumber) -> ClientScores:
        """Return a client's scores as it is (post_local, validation if it has such samples) and after a download."""
        state = None
        if k not in self._own:
            state = self._state_of(k)
            self._own[k] = self._scored(self._engine.load(k, state, t))
        own, test = self._own[k], self._task.clients[k].test
        if (downloaded := self.after_download(k, server, t, state)) is None:
            return {**own, "post_download": own["post_local"]}
        client, unchanged = downloaded
        return {**own, "post_download": (self._engine.evaluate(client, test, "test", unchanged), len(test))}

    def _scored(self, client: Client) -> ClientScores:
        """Return a client's scores with the weights that it has trained."""
        data = self._task.clients[client.info.id]
        scores = {"post_local": (self._engine.evaluate(client, data.test, "test", client.parts), len(data.test))}
        if len(data.validation):
            counts = self._engine.evaluate(client, data.validation, "validation", client.parts)
            scores["validation"] = (counts, len(data.validation))
        return scores


def _read(scores: list[ClientScores]) -> list[ClientScores]:
    """Return the scores of all clients with counts as numbers; waits for the device once."""
    leaves, structure = pytree.tree_flatten(scores)
    counts = iter(torch.stack([leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]).tolist())
    read: list[ClientScores] = pytree.tree_unflatten(
        [next(counts) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves], structure
    )
    return read
