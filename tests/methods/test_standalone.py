"""Standalone is the loop that anybody would write."""

import torch
from torch import nn

from benchmark.method import initial_parts
from benchmark.schedule import Schedule
from methods.standalone import Standalone


def test_equals_a_loop_written_by_hand(make_task, federate, same):
    task = make_task()
    federation, _ = federate(Standalone(), task, rounds=3, local_epochs=2, momentum=0.9, weight_decay=0.01)
    for k in range(task.num_clients):
        parts = initial_parts(Standalone(), task, k)
        net = nn.Sequential(parts["extractor"], parts["header"]).to(memory_format=torch.channels_last)
        for t in range(3):
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01, fused=True)
            epochs = Schedule(task, federation.config).epochs(k, t)
            for _ in range(2):
                for indices in next(epochs):
                    x, y = task.batch(indices)
                    optimiser.zero_grad()
                    nn.functional.cross_entropy(net(x), y).backward()
                    optimiser.step()
        assert same({name: dict(part.state_dict()) for name, part in parts.items()}, federation.states[k])


def test_nothing_travels(make_task, federate):
    _, records = federate(Standalone(), make_task())
    assert [(r["bytes_up"], r["bytes_down"]) for r in records] == [(0, 0), (0, 0)]
    assert records[0]["post_local"] == records[0]["post_download"]
