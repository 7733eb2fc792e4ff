from functools import partial
from itertools import pairwise

import pytest
import torch

from benchmark.cost import Stopwatch
from benchmark.errors import Diverged
from benchmark.federation import Federation
from benchmark.models.line_up import LineUp
from methods.fedmoe import FedMoE
from methods.fedrep import FedRep
from methods.fml import FML
from methods.standalone import Standalone


def test_a_state_is_read_back_by_copy(make_task, federate, same):
    federation, _ = federate(Standalone(), make_task(), rounds=1)
    kept = {name: tensor.clone() for name, tensor in federation.states[0]["header"].items()}
    federation.engine.load(0, federation.engine.initial_state(0))
    assert same(kept, federation.states[0]["header"])


def test_the_local_network_starts_the_same_under_every_method(make_task, federate, same):
    task = make_task()
    alone, _ = federate(Standalone(), task, rounds=1)
    for method in (FedMoE(), FML()):
        other, _ = federate(method, task, rounds=1)
        for k in range(task.num_clients):
            mine, theirs = alone.engine.initial_state(k), other.engine.initial_state(k)
            assert same(mine, {part: theirs[part] for part in mine})


def test_clients_of_one_architecture_start_differently(make_task, federate, alike, same):
    federation, _ = federate(Standalone(), make_task(line_up=alike), rounds=1)
    assert not same(federation.engine.initial_state(0), federation.engine.initial_state(1))


def test_momentum_does_not_leak_from_client_to_client(make_task, federate, same):
    """A client trains the same whether or not another took its turn before it."""
    task = make_task()
    together, _ = federate(Standalone(), task, rounds=1, momentum=0.9)
    apart = Federation(Standalone(), task, together.config, torch.device("cpu"))
    client = apart.engine.load(2, apart.state(2))
    apart.engine.train(client, partial(apart.schedule.epochs, 2, 0), Stopwatch(torch.device("cpu")))
    assert same(apart.engine.state(client), together.states[2])


def test_a_loss_that_is_not_finite_ends_the_run(make_task, federate):
    with pytest.raises(Diverged, match="training loss of client 0 is"):
        federate(Standalone(), make_task(), rounds=5, lr=1e30)


def test_weight_decay_momentum_and_epochs_reach_the_optimiser(make_task, federate, same):
    task = make_task()
    plain, _ = federate(Standalone(), task, rounds=1)
    for option in (
        {"momentum": 0.9},
        {"weight_decay": 0.1},
        {"local_epochs": 2},
        {"lr": 0.01},
        {"augmentation": "lab"},
    ):
        try:
            other, _ = federate(
                Standalone(), make_task(shape=(2, 12, 12)) if "augmentation" in option else task, rounds=1, **option
            )
        except RuntimeError as error:
            pytest.fail(f"{option}: {error}")
        assert not same(plain.states, other.states), option


def test_what_stands_still_in_a_phase_is_in_evaluation_mode_and_has_no_gradient(make_task, federate, alike):
    seen = []

    class Watched(FedRep):
        def loss(self, client, batch):
            layers = client.extractor[1], client.header
            seen.append([(layer.training, layer.weight.requires_grad) for layer in layers])
            return super().loss(client, batch)

    federate(Watched(), make_task((4, 4), line_up=alike), rounds=1)
    moves, stands = (True, True), (False, False)
    turns = [phase for before, phase in pairwise([None, *seen]) if phase != before]
    assert turns == [[stands, moves], [moves, stands]] * 2


def test_running_means_stand_still_with_their_part(make_task, federate, mixed, same):
    """Batch normalisation in a still extractor leaves its running means alone."""

    class HeaderAlone(FedRep):
        def phases(self):
            return super().phases()[:1]

    normalised = LineUp("normalised", "", (mixed.architectures[2],), mixed.architectures[2], min_size=4)
    task = make_task((4, 4), line_up=normalised)
    still, _ = federate(HeaderAlone(), task, rounds=1)
    trained, _ = federate(FedRep(), task, rounds=1)
    first = FedRep().server_init(task)["extractor"]
    assert same(still.server["extractor"], dict(first))
    assert not same(trained.server["extractor"]["2.running_mean"], first["2.running_mean"])
    assert trained.server["extractor"]["2.num_batches_tracked"] == 1  # one pass of one step over the extractor
