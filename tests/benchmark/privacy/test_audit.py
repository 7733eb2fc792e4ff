"""An audit changes nothing, whatever the method, and leaves what its attacks have found."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmark.config import FederationConfig
from benchmark.conformance.toy import CPU
from benchmark.federation import Federation
from benchmark.plugins import registry
from benchmark.privacy.audit import PrivacyAudit, audited_clients, audited_rounds
from benchmark.privacy.findings import SERIES, Membership, RoundMembership
from benchmark.storage.checkpoint import fingerprint
from benchmark.storage.schema import ROUND

FEW = 3
ADDS_WHAT_IT_RECEIVES = ("fedkd", "fedssa")
"""Clients of these add a message to what they have, so that an upload does not stand in its place."""


def brief(name):
    """The method, with few steps on the server."""
    _, spec = registry.method(name)
    fields = [f for f in ("server_epochs", "server_steps") if spec.hyperparameters.get(f, 0) > FEW]
    return registry.method("+".join([name, *(f"{field}={FEW}" for field in fields)]))[0]


def federation_of(method, task, *observers, rounds=2):
    config = FederationConfig(clients=task.num_clients, rounds=rounds, batch_size=6, lr=0.1)
    return Federation(method, task, config, CPU, observers=observers)


def costs(record):
    of_clients = [[c["id"], c["flops"], c["bytes_up"], c["bytes_down"], c["train_loss"]] for c in record["clients"]]
    return [of_clients, record["server_flops"], record["post_local"], record["post_download"]]


@pytest.mark.parametrize("name", sorted(registry.catalogue("methods")))
def test_an_audit_changes_no_weight_no_byte_and_no_flop(name, audit_task, tiny):
    method = brief(name)
    task = audit_task(method)
    audit = PrivacyAudit(tiny)
    alone, watched = federation_of(method, task), federation_of(method, task, audit)
    records = list(watched.run())
    assert [costs(r) for r in alone.run()] == [costs(r) for r in records]
    assert fingerprint(alone.server, alone.states) == fingerprint(watched.server, watched.states)

    found = [ROUND.validate_python(r)["observed"]["privacy"] for r in records]
    if name == "standalone":
        assert all(of["sends_nothing"] for of in found)
        released = Membership([audit.artefacts(watched, records)["privacy"]])
        assert released.messages(2) == []
        assert len(released.clusters("released", "control", 2)) == 2
        return
    scores = audit.artefacts(watched, records)["privacy"]
    facts = json.loads(str(scores["facts"]))
    assert facts["rounds"] == [1, 2]
    assert facts["sheet"]["up"]["bytes"].keys() == records[0]["clients"][0]["bytes_up"].keys()
    membership = Membership([scores])
    for t in (1, 2, SERIES):
        clusters = membership.messages(t)
        assert len(clusters) == 2
        for attacked in clusters:  # twelve of each kind, half of the others set the scale
            assert int(attacked.member.sum()) == 18 and int((~attacked.member).sum()) == 9
            assert np.isfinite(attacked.scores).all()
    for attacked in RoundMembership([scores]).clusters():  # of eighteen members of three classes half are in the round
        assert int(attacked.member.sum()) == 9 and len(attacked.member) == 18
    assert {"labels.truth", "identity.rank", "duplicates.score"} <= scores.keys()
    assert ("model.agreement" in scores) == (name not in ADDS_WHAT_IT_RECEIVES)


def test_rounds_and_clients_are_fixed_before_anything_is_known(audit_task):
    assert audited_rounds(20, 5) == [1, 6, 10, 15, 20]
    assert audited_rounds(3, 5) == [1, 2, 3]
    assert audited_rounds(1, 5) == [1]
    task = audit_task(brief("lg-fedavg"), clients=7)  # three architectures in turn
    chosen = audited_clients(task, range(7), 3)
    assert len({task.infos[k].architecture for k in chosen}) == len({i.architecture for i in task.infos})
    assert chosen == audited_clients(task, range(7), 3)
    assert set(audited_clients(task, [1, 2], 5)) == {1, 2}


def test_a_resumed_run_finds_the_same(audit_task, tiny):
    """An observer of round 2 alone, as after an interruption, has the scores of one that saw round 1 as well."""
    method = brief("fedproto")
    task = audit_task(method)
    whole = federation_of(method, task, PrivacyAudit(tiny))
    both = [r["observed"]["privacy"] for r in whole.run()]
    resumed = federation_of(method, task)
    first = resumed.round(1)
    resumed.observers = (PrivacyAudit(tiny),)
    second = resumed.round(2)
    assert "observed" not in first
    assert second["observed"]["privacy"]["scores"] == both[1]["scores"]


@pytest.mark.parametrize("defence", [{"message_bits": 8}, {"secure_aggregation": True}, {}], ids=str)
def test_the_sheet_has_the_bytes_that_are_counted(audit_task, tiny, defence):
    method = brief("fedproto")
    audit = PrivacyAudit(replace(tiny, clients=3))
    config = FederationConfig(clients=3, rounds=1, batch_size=6, lr=0.1, **defence)
    (record,) = Federation(method, audit_task(method), config, CPU, observers=[audit]).run()
    sent = [client["bytes_up"] for client in record["clients"]]
    sheet = record["observed"]["privacy"]["sheet"]["up"]["bytes"]
    assert sheet == {name: np.mean([of[name] for of in sent]) for name in sent[0]}
