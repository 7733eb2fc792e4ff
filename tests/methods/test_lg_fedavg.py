"""LG-FedAvg shares the header; with everything shared it is FedAvg."""

from dataclasses import dataclass

import torch
from torch import nn

from benchmark.method import initial_parts
from benchmark.schedule import Schedule
from methods.lg_fedavg import LGFedAvg


@dataclass(frozen=True)
class EverythingShared(LGFedAvg):
    def shares(self):
        return ("extractor", "header")


def test_with_everything_shared_it_is_fedavg(make_task, federate, alike, same):
    """Against McMahan et al.'s Algorithm 1. Sizes 4, 4, 8 make the weights of the running mean exact."""
    task = make_task((4, 4, 8), line_up=alike)
    federation, _ = federate(EverythingShared(), task, rounds=2)
    parts = initial_parts(EverythingShared(), task, None)
    net = nn.Sequential(parts["extractor"], parts["header"])
    w = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for t in range(2):
        sent = []
        for k in range(3):
            net.load_state_dict(w)
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
            for indices in next(Schedule(task, federation.config).epochs(k, t)):
                x, y = task.batch(indices)
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimiser.step()
            sent.append({name: tensor.clone() for name, tensor in net.state_dict().items()})
        pair = {name: sent[0][name].lerp(sent[1][name], 1 / 2) for name in w}
        w = {name: pair[name].lerp(sent[2][name], 1 / 2) for name in w}
        for name, tensor in w.items():
            torch.testing.assert_close(tensor, 0.25 * sent[0][name] + 0.25 * sent[1][name] + 0.5 * sent[2][name])
    net.load_state_dict(w)
    assert same(federation.server, {name: dict(part.state_dict()) for name, part in parts.items()})


def test_extractors_stay_private(make_task, federate, same):
    task = make_task()
    federation, _ = federate(LGFedAvg(), task)
    assert set(federation.server) == {"header"}
    alone, _ = federate(LGFedAvg(), make_task(), participation=0.1, rounds=1)
    (k,) = alone.states
    assert same(alone.server["header"], alone.states[k]["header"])
