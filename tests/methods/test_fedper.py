"""FedPer: the mean of extractors, and headers that stay."""

import copy

import torch
from torch import nn

from benchmark.channel import same
from benchmark.compatibility import unsupported
from benchmark.conformance.toy import ALIKE, federate, make_task
from benchmark.method import initial_parts
from methods.fedavg import FedAvg
from methods.fedper import FedPer


def test_equals_the_algorithm_box_written_by_hand(passes, step, weighted_mean):
    """Two rounds of three clients in plain PyTorch: one extractor, three headers that are never averaged."""
    task = make_task((4, 4, 8), line_up=ALIKE)
    federation, _ = federate(FedPer(), task, rounds=2)
    extractor = initial_parts(FedPer(), task, None)["extractor"]
    headers = [initial_parts(FedPer(), task, k)["header"] for k in range(3)]
    theta = copy.deepcopy(extractor.state_dict())
    for t in (1, 2):
        sent = []
        for k, header in enumerate(headers):
            extractor.load_state_dict(theta)
            net = nn.Sequential(extractor, header)
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
            for x, y in next(passes(federation, k, t)):
                step(optimiser, nn.functional.cross_entropy(net(x), y))
            sent.append(copy.deepcopy(extractor.state_dict()))
        theta = weighted_mean(sent, (4, 4, 8))
    assert same(federation.server, {"extractor": theta})
    for k, header in enumerate(headers):
        assert same(federation.states[k], {"extractor": dict(sent[k]), "header": dict(header.state_dict())})


def test_sharing_the_header_too_it_is_fedavg():
    class SharingTheHeader(FedPer):
        def shares(self):
            return (*super().shares(), "header")

    task = make_task(line_up=ALIKE)
    whole, _ = federate(SharingTheHeader(), task, rounds=3)
    averaged, _ = federate(FedAvg(), task, rounds=3)
    assert same(whole.server, averaged.server)
    assert same(whole.states, averaged.states)


def test_headers_start_apart_and_are_not_on_the_server():
    federation, records = federate(FedPer(), make_task(line_up=ALIKE))
    assert set(federation.server) == {"extractor"}
    assert not same(federation.engine.initial_state(0)["header"], federation.engine.initial_state(1)["header"])
    assert [set(c["bytes_up"]) | set(c["bytes_down"]) for c in records[1]["clients"]] == [{"extractor"}] * 3


def test_refuses_several_architectures():
    reason = unsupported(FedPer(), make_task())
    assert reason == "it shares the extractor, which differs between linear and convolution"
    assert unsupported(FedPer(), make_task(line_up=ALIKE)) is None
