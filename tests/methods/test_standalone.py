"""Standalone is the loop that anybody would write."""

from itertools import chain, islice

import torch
from torch import nn

from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from methods.standalone import Standalone


def test_equals_a_loop_written_by_hand(clients_of, passes, step, state_of):
    federation, _ = federate(Standalone(), make_task(), rounds=3, local_epochs=2, momentum=0.9, weight_decay=0.01)
    for k, parts in enumerate(clients_of(federation)):
        net = nn.Sequential(parts["extractor"], parts["header"])
        for t in (1, 2, 3):
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01, fused=True)
            for x, y in chain.from_iterable(islice(passes(federation, k, t), 2)):
                step(optimiser, nn.functional.cross_entropy(net(x), y))
        assert same(state_of(parts), federation.states[k])


def test_nothing_travels():
    _, records = federate(Standalone(), make_task())
    assert [(r["bytes_up"], r["bytes_down"]) for r in records] == [(0, 0), (0, 0)]
    assert records[0]["post_local"] == records[0]["post_download"]
