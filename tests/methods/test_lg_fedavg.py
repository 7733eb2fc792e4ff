"""LG-FedAvg shares the header; with everything shared it is FedAvg."""

from dataclasses import dataclass

from benchmark.channel import same
from benchmark.conformance.toy import ALIKE, federate, make_task
from methods.fedavg import FedAvg
from methods.lg_fedavg import LGFedAvg


@dataclass(frozen=True)
class EverythingShared(LGFedAvg):
    def shares(self):
        return ("extractor", "header")


def test_with_everything_shared_it_is_fedavg():
    """Which is McMahan et al.'s Algorithm 1, see test_fedavg.py."""
    task = make_task(line_up=ALIKE)
    shared, records = federate(EverythingShared(), task, rounds=3)
    averaged, averaged_records = federate(FedAvg(), task, rounds=3)
    assert same(shared.server, averaged.server)
    assert same(shared.states, averaged.states)
    assert [r["post_download"] for r in records] == [r["post_download"] for r in averaged_records]


def test_extractors_stay_private():
    task = make_task()
    federation, _ = federate(LGFedAvg(), task)
    assert set(federation.server) == {"header"}
    alone, _ = federate(LGFedAvg(), make_task(), participation=0.1, rounds=1)
    (k,) = alone.states
    assert same(alone.server["header"], alone.states[k]["header"])
