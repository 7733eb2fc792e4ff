"""Which records an attack judges, and which the attacker has for itself."""

import pytest
import torch

from benchmark.channel import RoundNumber
from benchmark.config import FederationConfig
from benchmark.conformance.toy import CPU, MIXED, SHAPE, noise_task
from benchmark.federation import Federation
from benchmark.plugins import registry
from benchmark.privacy.membership import ENOUGH_PER_CLASS, Candidates
from benchmark.privacy.private_model import private_parts
from benchmark.privacy.record_attacks import RecordAttacks
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.privacy.tables import Tables
from benchmark.privacy.victims import Victims
from benchmark.task import ClientData


def many_classes(classes, test, train=24):
    """Two clients that both have so many records of each class, to train and to test on."""
    labels = torch.arange(2 * classes * (train + test)) % classes
    halves = torch.arange(len(labels)).view(2, -1)
    clients = [ClientData(h[: classes * train], h[:0], h[classes * train :]) for h in halves]
    return noise_task(labels, clients, shape=SHAPE, num_classes=classes, line_up=MIXED)


@pytest.mark.parametrize(("classes", "test", "left", "each"), [(40, 12, 6, 10), (5, 12, 5, 12), (40, 3, 6, 3)])
def test_of_many_classes_some_are_judged_by_enough_records(classes, test, left, each):
    """Of 60 on each side: 40 classes would have one or two, six have ten; a class with three has three."""
    task = many_classes(classes, test)
    pool = task.clients[1].test
    candidates = Candidates.of(task, 0, pool, 60, 60)
    counts = torch.bincount(task.labels[candidates.records[candidates.member]], minlength=classes)
    assert sorted(counts.tolist())[-left:] == [each] * left and int((counts > 0).sum()) == left
    assert left <= 60 // ENOUGH_PER_CLASS
    others = torch.bincount(task.labels[candidates.records[~candidates.member]], minlength=classes)
    assert torch.equal(counts, others)


@pytest.fixture
def attacked(audit_task, tiny):
    """A FedProto client after one round, and who attacks it."""
    method = registry.method("fedproto")[0]
    task = audit_task(method)
    config = FederationConfig(clients=3, rounds=1, batch_size=6, lr=0.1)
    federation = Federation(method, task, config, CPU)
    lab, t = ShadowClients(method, task, config, CPU), RoundNumber(1, 1)
    victims = Victims(task, method, lab, t, tiny)
    before = federation.state(0)
    download = method.download(federation.server, task.infos[0])
    federation.round(1)
    victim = victims.of(0, before, download, download)
    return (
        federation,
        victims,
        victim,
        RecordAttacks(lab, victims, tiny, Tables(), t, federation.server, lambda _, message: message),
    )


def test_own_clients_of_an_attacker_take_the_steps_of_the_real_one(attacked):
    """It has six records of each of three classes; the attacker draws as many, some of them twice, of a few."""
    federation, victims, victim, _ = attacked
    few = torch.cat([victim.known[federation.task.labels[victim.known] == c][:2] for c in range(3)])
    torch.manual_seed(0)
    drawn = victims.again(0, few)
    assert torch.bincount(federation.task.labels[drawn]).tolist() == [6, 6, 6]
    assert {*drawn.tolist()} <= {*few.tolist()}
    assert len(victims.again(0, few, most=9)) == 9
    assert len(victims.again(0, few[:0])) == 0


def test_pictures_are_learned_from_other_records_than_own_clients_train_on(attacked):
    federation, _, victim, attacks = attacked
    candidates = attacks._candidates(0, victim.auxiliary)
    level = attacks._level(victim, candidates, victim.states["auditor"])
    trained_on = {*torch.cat([*level.samples]).tolist()}
    assert trained_on and not trained_on & {*candidates.auxiliary.tolist()}
    assert {*candidates.auxiliary.tolist()} <= {*victim.known.tolist()}
    own = federation.task.clients[0]
    assert not {*victim.known.tolist()} & {*own.train.tolist(), *own.test.tolist()}


@pytest.mark.parametrize("name", ["standalone", "fedmoe", "fml", "lg-fedavg", "fedproto", "fedgen"])
def test_a_clients_own_network_is_found_in_what_it_holds(name, audit_task):
    """Extractor and header, and nothing that was sent to it as something else."""
    method = registry.method(name)[0]
    task = audit_task(method)
    federation = Federation(method, task, FederationConfig(clients=3, rounds=1), CPU)
    assert private_parts(method, task, 0, federation.state(0)).keys() == {"extractor", "header"}
