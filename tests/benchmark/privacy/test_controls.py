"""Attacks on messages with a known answer: in the clear, noise, known noise, labels alone, pictures alone."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
import torch
from scipy.stats import norm

from benchmark.config import FederationConfig
from benchmark.conformance.toy import CPU
from benchmark.federation import Federation
from benchmark.plugins import registry
from benchmark.privacy.audit import PrivacyAudit
from benchmark.privacy.audit_size import AuditSize
from benchmark.privacy.controls import membership_controls
from benchmark.privacy.findings import (
    LABELS_ALONE,
    SERVER,
    Membership,
    RoundMembership,
    fidelity_of,
    identity_of,
    labels_of,
)
from benchmark.privacy.identity import Inversion, candidate_means, identified
from benchmark.privacy.labels import guessed, learned, random_labels
from benchmark.privacy.membership import Candidates, MembershipAttack
from benchmark.privacy.metrics import auc, chance_interval, standardised, tpr_at
from benchmark.privacy.verdicts import verdicts
from benchmark.privacy.whitening import Whitening

SIZE = AuditSize(
    clients=2,
    rounds=2,
    candidates=60,
    auxiliary=60,
    shadows=2,
    shadow_records=60,
    surrogate_records=60,
    label_shadows=40,
    label_records=30,
    passes=2,
)


@pytest.fixture
def of_control(audit_task):
    """Name of a control -> its scores, the members, which are judged; one client with 90 records of each kind."""
    task = audit_task(registry.method("fedavg")[0], train=90, test=90)
    torch.manual_seed(0)
    pool = torch.cat([task.clients[1].test, task.clients[2].test])
    candidates = Candidates.of(task, 0, pool, 90, 90)
    found = {}
    for name, of, scores in membership_controls(task, 0, candidates):
        labels, judged = task.labels[of.records].numpy(), ~of.calibration.numpy()
        group = np.zeros_like(labels) if name == LABELS_ALONE else labels
        scale = standardised(scores.numpy(), group, of.calibration.numpy())
        found[name] = scale[judged], of.member.numpy()[judged]
    return found


def test_data_in_the_clear_are_found(of_control):
    assert auc(*of_control["clear"]) >= 0.99
    assert tpr_at(*of_control["clear"], 0.001) >= 0.9


def test_known_noise_is_within_its_bound(of_control):
    """One record moves the message by one standard deviation: mu is 1."""
    scores, member = of_control["known noise"]
    margin = chance_interval(int(member.sum()), int((~member).sum()))[1] - 0.5
    assert 0.6 < auc(scores, member) <= norm.cdf(1 / sqrt(2)) + margin
    assert tpr_at(scores, member, 0.05) <= norm.cdf(norm.ppf(0.05) + 1) + 0.2


@pytest.mark.parametrize("name", ["labels alone", "pictures alone"])
def test_who_sees_no_message_is_at_chance(of_control, name):
    low, high = chance_interval(int(of_control[name][1].sum()), int((~of_control[name][1]).sum()))
    assert low <= auc(*of_control[name]) <= high


def test_mean_pictures_give_members_away_once_they_are_whitened():
    """Pictures with a steep spectrum, as natural ones have: 25 in a mean, 1000 to learn the metric from."""
    torch.manual_seed(1)
    spectrum = 1 / torch.arange(1, 201).double()
    records, auxiliary = (torch.randn(n, 200, dtype=torch.float64) * spectrum for n in (50, 1000))
    member = torch.arange(50) < 25
    labels, others = torch.zeros(50, dtype=torch.int64), torch.zeros(1000, dtype=torch.int64)
    attack = MembershipAttack(records, labels, auxiliary, others)
    mean = records[member].mean(0)
    plain, white = (auc(s(mean).numpy(), member.numpy()) for s in (attack.plain_scores, attack.scores))
    assert white > 0.9 > plain + 0.2


def test_the_metric_is_the_inverse_of_the_shrunken_covariance():
    torch.manual_seed(2)
    rows, x, y = torch.randn(7, 5).double(), torch.randn(2, 5).double(), torch.randn(3, 5).double()
    covariance = rows.T @ rows / 7
    covariance += 0.05 * covariance.trace() / 5 * torch.eye(5)
    metric = Whitening(rows)
    torch.testing.assert_close(metric.products(x, y), x @ torch.linalg.inv(covariance) @ y.T)
    torch.testing.assert_close(metric.norms(x), (x @ torch.linalg.inv(covariance) @ x.T).diagonal().sqrt())
    left = metric.without(x[0], y[:2])
    torch.testing.assert_close(metric.products(left[None], y[:2]), torch.zeros(1, 2).double(), atol=1e-9, rtol=0)


def test_class_means_that_are_sent_as_pictures_are_ranked_first_and_noise_at_random():
    torch.manual_seed(3)
    pictures = torch.rand(80, 48)
    inversion = Inversion(pictures[:40] - pictures[:40].mean(0), pictures[:40], pictures.mean(0))
    ranks = []
    for _ in range(60):
        truth, decoys = torch.rand(20, 48).mean(0), torch.rand(99, 20, 48).mean(1)
        clear = identified(truth.double() - inversion.mean, 1.0, inversion.mean, truth, decoys)
        assert clear.rank == 0 and clear.gain > 60
        noise = identified(torch.randn(48).double(), 0.0, inversion.mean, truth, decoys)
        assert noise.gain == pytest.approx(0)
        ranks.append(noise.rank)
    assert 35 < np.mean(ranks) < 65


def test_a_picture_that_comes_nearer_to_all_gains_nothing():
    """All means have 3 in their first number, and 1 in one of their own: a picture of the first is as near to each.

    Of the true mean's own number the square of what is left falls from 10 to 9 as well: log10(10 / 9) more than others.
    """
    means = torch.eye(5) + 3 * torch.eye(5)[0]
    truth, decoys, public = means[1], means[2:], torch.zeros(5).double()
    common = identified(torch.eye(5)[0].double(), 3.0, public, truth, decoys)
    assert common.gain == pytest.approx(0)
    own = identified(torch.eye(5)[1].double(), 1.0, public, truth, decoys)
    others = 10 * np.log10(10 / 11)  # it adds 1 to what is left of them
    assert own.gain == pytest.approx(10 * np.log10(10 / 9) - others)


def test_without_a_message_the_rank_of_a_client_is_uniform():
    """Ten records of its own, twelve others, nine decoys: it is the first in a tenth of the cases."""
    torch.manual_seed(5)
    first = []
    for _ in range(1500):
        pictures = torch.randn(22, 6)
        truth, *decoys = candidate_means(pictures[:10], pictures[10:], 9)
        torch.testing.assert_close(truth, pictures[:10].mean(0))
        found = identified(torch.randn(6).double(), 0.0, torch.zeros(6).double(), truth, torch.stack(decoys))
        first.append(found.rank == 0)
    assert np.mean(first) == pytest.approx(0.1, abs=0.025)


def test_labels_in_the_clear_are_read_off():
    torch.manual_seed(4)
    counts = torch.tensor([[4, 1, 0, 0, 0], [2, 2, 2, 0, 0]])
    shares = torch.stack([random_labels(counts) for _ in range(60)])
    assert {tuple(row.sort().values.tolist()) for row in (shares * 60).round().int()} == {
        (0, 0, 0, 12, 48),
        (0, 0, 20, 20, 20),
    }
    assert ((shares > 0).float().mean(0) > 0.2).all()
    networks = torch.eye(2)[torch.arange(60) % 2]
    guess = guessed(learned((shares > 0).float(), shares, networks), (shares[:9] > 0).float(), 5)
    assert torch.equal(guess.presence > 0, shares[:9] > 0)
    torch.testing.assert_close(guess.shares.sum(1), torch.ones(9).double())


def test_all_controls_of_an_audit_hold_and_a_network_that_is_sent_is_copied(audit_task):
    """FedAvg on noise pictures, which a network can only learn by heart: members are found, controls hold."""
    method = registry.method("fedavg")[0]
    task = audit_task(method, train=60, test=120)
    audit = PrivacyAudit(SIZE)
    config = FederationConfig(clients=3, rounds=2, batch_size=10, lr=0.1, local_epochs=3)
    federation = Federation(method, task, config, CPU, observers=[audit])
    scores = audit.artefacts(federation, list(federation.run()))["privacy"]
    failed = [(v.column, v.name) for v in verdicts([scores]) if not v.holds]
    assert failed == [("model", "distilled")]  # of noise nothing can be taught that holds for other noise
    assert Membership([scores]).area(2).value > 0.6
    assert fidelity_of([scores]).agreement.value == 1
    assert labels_of([scores]).presence is None  # each client has all classes
    assert identity_of([scores], SERVER, "clear").top1.value == 1


def test_an_auditor_is_at_chance_by_what_a_state_has_learned_by_heart(audit_task):
    """Networks that have learned noise pictures by heart: released they give members away, one round's state does not.

    Of sixty members half are in the last round, and the state before it was trained on all of them.
    """
    method = registry.method("fd")[0]
    audit = PrivacyAudit(replace(SIZE, clients=3))
    config = FederationConfig(clients=3, rounds=4, batch_size=10, lr=0.1, local_epochs=5)
    federation = Federation(method, audit_task(method, train=60, test=120), config, CPU, observers=[audit])
    scores = audit.artefacts(federation, list(federation.run()))["privacy"]
    assert Membership([scores]).control("released", 4).value > 0.8
    alone = RoundMembership([scores]).area("state alone").value
    low, high = chance_interval(90, 90)
    assert low <= alone <= high
    (verdict,) = (of for of in verdicts([scores]) if of.name == "state alone")
    assert verdict.column == "membership, auditor" and verdict.holds
