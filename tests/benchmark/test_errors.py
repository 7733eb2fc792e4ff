"""Whatever a hook raises names client, round and phase, in the reason and in the traceback."""

from dataclasses import dataclass

import pytest
import torch

from benchmark.config import FederationConfig
from benchmark.conformance.toy import ALIKE, CPU, make_task
from benchmark.engine.stacked import StackedEngine
from benchmark.errors import Diverged, HookError, RequestError, StorageError, located
from benchmark.federation import Federation
from benchmark.method import Inspection, Method, Phase


@dataclass(frozen=True)
class Fragile(Method):
    """Raises in one hook, for client 2 in round 2."""

    breaks: str

    def fails(self, hook, client, t):
        if hook == self.breaks and client == 2 and t == 2:
            raise KeyError("lost")

    def phases(self):
        return (Phase(), Phase(loss=self.second_loss))

    def loss(self, client, batch):
        self.fails("loss", client.info.id, client.info.progress.round)
        return super().loss(client, batch)

    def second_loss(self, client, batch):
        self.fails("second loss", client.info.id, client.info.progress.round)
        return super().loss(client, batch)

    def project(self, client):
        self.fails("project", client.info.id, client.info.progress.round)

    def predictors(self):
        return {"header": self.scored}

    def scored(self, client, x):
        self.fails("predictor", client.info.id, client.info.progress.round)
        return self.predict(client, x)

    def statistics(self, client, batch):
        self.fails("statistics", client.info.id, client.info.progress.round)
        return {"n": torch.ones(())}

    def download(self, server, client):
        self.fails("download", client.id, client.progress.round)
        return {"word": torch.zeros(1)}

    def receive(self, state, message, client):
        self.fails("receive", client.id, client.progress.round)
        torn = self.breaks == "receive without a part" and (client.id, client.progress.round) == (2, 2)
        return {"word": message["word"]} if torn else state | message

    def upload(self, client, statistics):
        self.fails("upload", client.info.id, client.info.progress.round)
        odd = self.breaks == "upload of a text" and (client.info.id, client.info.progress.round) == (2, 2)
        return {"word": "text" if odd else torch.zeros(1)}

    def aggregate(self, server, inbox):
        self.fails("aggregate", 2, inbox.progress.round)
        return server


PLACES = {
    "download": "client 2, round 2, download: KeyError: 'lost'",
    "receive": "client 2, round 2, receive: KeyError: 'lost'",
    "receive without a part": "client 2, round 2, state: KeyError: 'extractor'",
    "loss": "client 2, round 2, training, phase 0: KeyError: 'lost'",
    "second loss": "client 2, round 2, training, phase 1: KeyError: 'lost'",
    "project": "client 2, round 2, training, phase 0: KeyError: 'lost'",
    "statistics": "client 2, round 2, statistics: KeyError: 'lost'",
    "upload": "client 2, round 2, upload: KeyError: 'lost'",
    "upload of a text": "client 2, round 2, upload: AttributeError: 'str' object has no attribute 'detach'",
    "aggregate": "server, round 2, aggregate: KeyError: 'lost'",
    "predictor": "client 2, round 2, evaluation: KeyError: 'lost'",
}


@pytest.mark.parametrize("hook", PLACES)
def test_the_place_is_named_whatever_the_hook(hook):
    config = FederationConfig(clients=3, rounds=2, batch_size=4, eval_every=2)
    federation = Federation(Fragile(hook), make_task(line_up=ALIKE), config, CPU)
    federation.round(1)
    with pytest.raises(HookError) as caught:
        federation.round(2)
    assert str(caught.value) == PLACES[hook]
    assert type(caught.value.__cause__).__name__ in PLACES[hook]


def test_the_stacked_engine_names_the_place_as_well():
    config = FederationConfig(clients=3, rounds=2, batch_size=4)
    federation = Federation(Fragile("upload"), make_task(line_up=ALIKE), config, CPU, engine=StackedEngine)
    federation.round(1)
    with pytest.raises(HookError, match=r"^client 2, round 2, upload: KeyError: 'lost'$"):
        federation.round(2)


def test_before_the_first_round_as_well():
    @dataclass(frozen=True)
    class Unborn(Method):
        def server_init(self, task):
            raise ValueError("no\nserver")

    with pytest.raises(HookError, match=r"^server, initial state: ValueError: no server$"):
        Federation(Unborn(), make_task(), FederationConfig(clients=3), CPU)


def test_inspection_names_its_place():
    @dataclass(frozen=True)
    class Shy(Method):
        def inspect(self, client, x):
            if client.info.id == 1:
                raise ValueError("not me")
            return Inspection({"own": torch.ones(len(x))}, {})

    federation = Federation(Shy(), make_task(), FederationConfig(clients=3), CPU)
    federation.engine.inspect(federation.client(0), federation.task.clients[0].test)
    with pytest.raises(HookError, match=r"^client 1, round 1, inspection: ValueError: not me$"):
        federation.engine.inspect(federation.client(1), federation.task.clients[1].test)


@pytest.mark.parametrize("error", [StorageError("full"), Diverged("nan"), HookError("client 0: x")])
def test_errors_that_say_where_they_are_stay_as_they_are(error):
    with pytest.raises(type(error)) as caught, located("somewhere else"):
        raise error
    assert caught.value is error


def test_a_request_error_of_a_hook_gets_a_place():
    with (
        pytest.raises(HookError, match=r"^client 1, upload: RequestError: no such thing$"),
        located("client 1, upload"),
    ):
        raise RequestError("no such thing")
