from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from benchmark.api import Method, Phase
from benchmark.channel import copied, same
from benchmark.conformance.toy import ALIKE, MIXED, federate, make_task
from benchmark.errors import Diverged
from benchmark.federation import Federation
from benchmark.measure.meter import Meter
from benchmark.models.line_up import LineUp
from methods.fedmoe import FedMoE
from methods.fedrep import FedRep
from methods.fml import FML
from methods.standalone import Standalone

CPU = torch.device("cpu")


def test_a_state_is_read_back_by_copy():
    federation, _ = federate(Standalone(), make_task(), rounds=1)
    kept = {name: tensor.clone() for name, tensor in federation.states[0]["header"].items()}
    federation.engine.load(0, federation.engine.initial_state(0))
    assert same(kept, federation.states[0]["header"])


def test_the_local_network_starts_the_same_under_every_method():
    task = make_task()
    alone, _ = federate(Standalone(), task, rounds=1)
    for method in (FedMoE(), FML()):
        other, _ = federate(method, task, rounds=1)
        for k in range(task.num_clients):
            mine, theirs = alone.engine.initial_state(k), other.engine.initial_state(k)
            assert same(mine, {part: theirs[part] for part in mine})


def test_clients_of_one_architecture_start_differently():
    federation, _ = federate(Standalone(), make_task(line_up=ALIKE), rounds=1)
    assert not same(federation.engine.initial_state(0), federation.engine.initial_state(1))


def test_momentum_does_not_leak_from_client_to_client():
    """A client trains the same whether or not another took its turn before it."""
    task = make_task()
    together, _ = federate(Standalone(), task, rounds=1, momentum=0.9)
    apart = Federation(Standalone(), task, together.config, torch.device("cpu"))
    client = apart.engine.load(2, apart.state(2))
    apart.engine.train_client(client, partial(apart.schedule.epochs, 2, 1), Meter(CPU))
    assert same(apart.engine.state(client), together.states[2])


def test_a_loss_that_is_not_finite_ends_the_run():
    with pytest.raises(Diverged, match="training loss of client 0 is"):
        federate(Standalone(), make_task(), rounds=5, lr=1e30)


def test_weight_decay_momentum_and_epochs_reach_the_optimiser():
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


def test_what_stands_still_in_a_phase_is_in_evaluation_mode_and_has_no_gradient():
    seen = []

    class Watched(FedRep):
        def loss(self, client, batch):
            layers = client.extractor[1], client.header
            seen.append([(layer.training, layer.weight.requires_grad) for layer in layers])
            return super().loss(client, batch)

    federate(Watched(), make_task((4, 4), line_up=ALIKE), rounds=1)
    moves, stands = (True, True), (False, False)
    turns = [phase for before, phase in pairwise([None, *seen]) if phase != before]
    assert turns == [[stands, moves], [moves, stands]] * 2


def test_running_means_stand_still_with_their_part():
    """Batch normalisation in a still extractor leaves its running means alone."""

    class HeaderAlone(FedRep):
        def phases(self):
            return super().phases()[:1]

    normalised = LineUp("normalised", "", (MIXED.architectures[2],), MIXED.architectures[2], min_size=4)
    task = make_task((4, 4), line_up=normalised)
    still, _ = federate(HeaderAlone(), task, rounds=1)
    trained, _ = federate(FedRep(), task, rounds=1)
    first = FedRep().server_init(task)["extractor"]
    assert same(still.server["extractor"], dict(first))
    assert not same(trained.server["extractor"]["2.running_mean"], first["2.running_mean"])
    assert trained.server["extractor"]["2.num_batches_tracked"] == 1  # one pass of one step over the extractor


@dataclass(frozen=True)
class Logged(Method):
    """Notes the samples of every step, by their labels."""

    blocks: tuple[Phase, ...]
    log: list

    def phases(self):
        return self.blocks

    def loss(self, client, *batches):
        self.log.append(tuple(batch.y.tolist() for batch in batches))
        return super().loss(client, batches[0])


@pytest.fixture
def steps_of():
    """phases -> the samples of each step of a client with n samples, by their place among them; and what it took."""

    def steps(*phases, n, **config):
        task = make_task((n,))
        task = replace(task, labels=torch.arange(len(task.labels)), num_classes=len(task.labels))
        method = Logged(phases, [])
        federation, (first,) = federate(method, task, rounds=1, **config)
        federation.method.log.clear()  # the first time each shape is counted on a step that is thrown away
        federation.engine.train_client(federation.client(0), partial(federation.schedule.epochs, 0, 1), Meter(CPU))
        assert first["clients"][0]["steps"] == len(federation.method.log)
        return federation.method.log, first["clients"][0]["flops"]

    return steps


def test_a_phase_takes_so_many_steps_at_most(steps_of):
    whole, flops = steps_of(Phase(), n=8, local_epochs=2)
    assert len(whole) == 4
    for most in (1, 3):
        some, fewer = steps_of(Phase(steps=most), n=8, local_epochs=2)
        assert some == whole[:most]
        assert fewer * 4 == flops * most
    assert steps_of(Phase(steps=9), n=8, local_epochs=2) == (whole, flops)


def test_a_phase_has_epochs_of_its_own(steps_of):
    assert len(steps_of(Phase(epochs=3), n=8)[0]) == 6
    assert len(steps_of(Phase(epochs=3, steps=5), Phase(), n=8)[0]) == 7


def test_passes_go_on_from_phase_to_phase(steps_of):
    """A second phase on the same samples sees them in another order: that of a second epoch."""
    phases, _ = steps_of(Phase(), Phase(), n=8)
    epochs, _ = steps_of(Phase(epochs=2), n=8)
    assert phases == epochs
    assert phases[:2] != phases[2:]


def test_a_phase_sees_its_stretch_alone(steps_of):
    slice_, rest = Phase(samples=((0.0, 0.25),), epochs=2), Phase(samples=((0.25, 1.0),))
    (first, again, *others), _ = steps_of(slice_, rest, n=16)
    assert sorted(first[0]) == sorted(again[0]) == [0, 1, 2, 3]
    assert sorted(label for (labels,) in others for label in labels) == list(range(4, 16))


def test_a_phase_on_several_stretches_gets_a_batch_of_each(steps_of):
    """Two batches of 4, and one: the steps end with the shorter stretch."""
    both, _ = steps_of(Phase(samples=((0.0, 0.6), (0.6, 1.0))), n=10)
    ((first, second),) = both
    assert len(first) == len(second) == 4
    assert set(first) < set(range(6))
    assert sorted(second) == [6, 7, 8, 9]


def test_stretches_do_not_change_what_a_whole_pass_sees(steps_of):
    plain, _ = steps_of(Phase(), n=8)
    after, _ = steps_of(Phase(samples=((0.0, 0.5), (0.5, 1.0))), Phase(), n=8)
    assert after[1:] == plain


@dataclass(frozen=True)
class Clamped(Method):
    """A weight that the loss pushes up by the learning rate in every step, and that may not go beyond 0.05."""

    log: list

    def parts(self, model, task):
        return super().parts(model, task) | {"scale": nn.ParameterDict({"weight": torch.tensor(0.0)})}

    def loss(self, client, batch):
        return super().loss(client, batch) - client.scale["weight"]

    def project(self, client):
        assert not torch.is_grad_enabled()
        self.log.append(client.scale["weight"].item())
        client.scale["weight"].clamp_(0, 0.05)


def test_weights_are_put_back_after_every_step():
    """From 0 by 0.1 to 0.1, back to 0.05, from there to 0.15, back, ...; the first step is counted and thrown away."""
    method, task = Clamped([]), make_task((8,))
    federation, _ = federate(method, task, rounds=1, local_epochs=2)
    assert federation.method.log == pytest.approx([0.1, 0.1, 0.15, 0.15, 0.15])
    assert federation.states[0]["scale"]["weight"].item() == pytest.approx(0.05)
    alone, _ = federate(Standalone(), task, rounds=1, local_epochs=2)
    assert same({part: federation.states[0][part] for part in ("extractor", "header")}, alone.states[0])


def test_weights_that_a_client_holds_as_a_value_are_no_part():
    """They are seen in hooks under their name, are not trained, and are read back as they were."""
    federation, _ = federate(Standalone(), make_task(), rounds=1)
    anchor = {"weight": torch.randn(3, 6), "bias": torch.randn(3)}
    client = federation.engine.load(0, federation.states[0] | {"anchor": anchor})
    assert "anchor" not in client.parts
    assert same(client.anchor, anchor)
    federation.engine.train_client(client, partial(federation.schedule.epochs, 0, 1), Meter(CPU))
    state = federation.engine.state(client)
    assert same(state["anchor"], anchor)
    assert same(copied(state), state)
    assert state["anchor"]["weight"].data_ptr() != anchor["weight"].data_ptr()
