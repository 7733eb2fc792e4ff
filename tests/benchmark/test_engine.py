from functools import partial

import pytest
import torch

from benchmark.cost import Stopwatch
from benchmark.errors import Diverged
from benchmark.federation import Federation
from methods.fedmoe import FedMoE
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
