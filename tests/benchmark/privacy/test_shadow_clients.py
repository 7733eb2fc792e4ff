"""What an attacker draws and trains: no record twice, no noise of the run, and what was sent as it was sent."""

from dataclasses import replace

import pytest
import torch

from benchmark.channel import RoundNumber, copied, same
from benchmark.config import FederationConfig
from benchmark.conformance.toy import CPU
from benchmark.federation import Federation
from benchmark.plugins import registry
from benchmark.privacy.audit import PrivacyAudit
from benchmark.privacy.findings import labels_of
from benchmark.privacy.shadow_clients import ShadowClients
from benchmark.privacy.victims import Victim, Victims


def lab_of(name, audit_task, **settings):
    method = registry.method(name)[0]
    task = audit_task(method)
    config = FederationConfig(clients=3, rounds=2, batch_size=6, lr=0.1, **settings)
    federation = Federation(method, task, config, CPU)
    return federation, ShadowClients(federation.method, task, config, CPU)


def test_records_are_drawn_once_and_as_many_of_each_class_as_there_are(audit_task, tiny):
    """Of eight records of each class in half a pool, five of class 0 and three of class 1 are asked for; then more."""
    federation, lab = lab_of("fedavg", audit_task)
    victims = Victims(federation.task, federation.method, lab, RoundNumber(), tiny)
    known, apart = victims.pool(0)
    assert not {*known.tolist()} & {*apart.tolist()}
    drawn = victims.drawn(known, torch.tensor([5 / 8, 3 / 8, 0.0]), 8)
    assert len({*drawn.tolist()}) == len(drawn) == 8
    assert torch.bincount(federation.task.labels[drawn], minlength=3).tolist() == [5, 3, 0]
    all_of_one = victims.drawn(known, torch.tensor([0.0, 1.0, 0.0]), 1000)
    assert len(all_of_one) == int((federation.task.labels[known] == 1).sum())


@pytest.mark.parametrize("name", ["lg-fedavg", "fedmoe", "fml"])
def test_a_guessed_state_holds_what_was_sent_and_nothing_else_of_a_client(audit_task, name):
    federation, lab = lab_of(name, audit_task)
    t = RoundNumber(2, 2)
    federation.round(1)
    before, info = copied(federation.state(0)), federation.task.infos[0]
    download = copied(federation.method.download(federation.server, info))
    true = federation.method.receive(before, download, info)
    guess = lab.surrogate(0, before, download, federation.task.clients[1].test, t, 2)
    assert {part for part in true if same(guess[part], true[part])} == {*federation.method.shares()}


def test_noise_of_an_attacker_is_its_own_and_never_twice_the_same(audit_task):
    noise = {"message_layout": "fixed", "message_clip": 1.0, "dp_epsilon": 8.0}
    federation, lab = lab_of("fedproto", audit_task, **noise)
    record = federation.round(1)
    assert record["bytes_up"] > 0
    t, download = RoundNumber(1, 2), {}
    message = lab.train(0, copied(federation.states[0]), federation.task.clients[0].train, t).message
    one, other = (lab.defended(0, message, download, t, noise=True) for _ in range(2))
    assert not same(one["prototypes"], other["prototypes"])
    still, again = (lab.defended(0, message, download, t, noise=False) for _ in range(2))
    assert same(still["prototypes"], again["prototypes"])


def test_networks_are_not_guessed_where_what_is_sent_to_a_client_would_give_it_away(audit_task, tiny):
    """FD leaves the receiver's own rows out of what it sends; FedProto sends all clients the same."""
    for name, guessed in (("fd", False), ("fedproto", True)):
        method = registry.method(name)[0]
        audit = PrivacyAudit(tiny)
        config = FederationConfig(clients=3, rounds=2, batch_size=6, lr=0.1)
        federation = Federation(method, audit_task(method), config, CPU, observers=[audit])
        scores = audit.artefacts(federation, list(federation.run()))["privacy"]
        assert labels_of([scores]).architectures > 1
        assert (labels_of([scores]).architecture is not None) == guessed


def test_networks_that_classes_are_guessed_from_know_nothing_of_a_clients_classes(audit_task, tiny, monkeypatch):
    """Client 0 is made to have two records of class 0 for one of another; guesses are trained on as many of each."""
    federation, lab = lab_of("fedproto", audit_task)
    task = federation.task
    train = task.clients[0].train
    labels = task.labels[train]
    lab.with_data(0, torch.cat([train[labels == 0], train[labels == 1][:3], train[labels == 2][:3]]))
    uneven = lab.engine.task
    assert uneven.class_counts[0].tolist() == [6, 3, 3]
    lab.engine.task = task
    trained_on = []
    monkeypatch.setattr(lab, "surrogate", lambda *given: trained_on.append(given[3]) or {"guess": given[-1]})
    victims = Victims(uneven, federation.method, lab, RoundNumber(1, 1), replace(tiny, surrogate_records=18))
    auxiliary, apart = victims.pool(0)
    victim = Victim(0, {}, {"server": {}, "auditor": {"private": 1}}, {}, {}, auxiliary, apart)
    assert [of["guess"] for of in victims.guesses(victim)] == [1, 2, 3]
    for samples in trained_on:
        assert torch.bincount(task.labels[samples]).tolist() == [2, 2, 2]
        assert not {*samples.tolist()} & {*auxiliary.tolist()}
