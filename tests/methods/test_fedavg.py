"""FedAvg is Algorithm 1 of McMahan et al., and needs one architecture."""

import copy

import torch
from torch import nn

from benchmark.api import Inbox
from benchmark.channel import same
from benchmark.compatibility import unsupported
from benchmark.conformance.toy import ALIKE, federate, make_task
from benchmark.method import initial_parts
from methods.fedavg import FedAvg
from methods.standalone import Standalone


def test_equals_the_algorithm_box_written_by_hand(passes, step, weighted_mean, state_of):
    """Two rounds of three clients in plain PyTorch. Sizes 4, 4, 8 make the weights of the running mean exact."""
    task = make_task((4, 4, 8), line_up=ALIKE)
    federation, _ = federate(FedAvg(), task, rounds=2)
    parts = initial_parts(FedAvg(), task, None)
    net = nn.Sequential(parts["extractor"], parts["header"])
    w = copy.deepcopy(net.state_dict())
    for t in (1, 2):
        sent = []
        for k in range(3):
            net.load_state_dict(w)
            optimiser = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
            for x, y in next(passes(federation, k, t)):
                step(optimiser, nn.functional.cross_entropy(net(x), y))
            sent.append(copy.deepcopy(net.state_dict()))
        w = weighted_mean(sent, (4, 4, 8))
        for name, tensor in w.items():
            torch.testing.assert_close(tensor, 0.25 * sent[0][name] + 0.25 * sent[1][name] + 0.5 * sent[2][name])
    net.load_state_dict(w)
    assert same(federation.server, state_of(parts))


def test_the_mean_is_weighted_with_the_participants_samples():
    """n = 1 and 3: (1 * 2 + 3 * 6) / 4 = 5. Over all clients, as some papers write n, it would be smaller."""
    messages = {
        k: {part: {"w": torch.tensor([v])} for part in ("extractor", "header")} for k, v in ((0, 2.0), (4, 6.0))
    }
    new = FedAvg().aggregate({}, Inbox(messages, {0: 1, 4: 3}))
    assert {part: weights["w"].tolist() for part, weights in new.items()} == {"extractor": [5.0], "header": [5.0]}


def test_of_one_client_it_is_standalone_but_for_the_first_weights():
    """A mean of one changes nothing; only the weights before the first round are the server's, not the client's."""

    class FromTheServersWeights(Standalone):
        def server_init(self, task):
            return FedAvg().server_init(task)

        def download(self, server, client):
            return server if client.progress.round == 1 else {}

    task = make_task((9,), line_up=ALIKE)
    averaged, records = federate(FedAvg(), task, rounds=3)
    alone, alone_records = federate(FromTheServersWeights(), task, rounds=3)
    assert same(averaged.states, alone.states)
    assert [r["post_local"] for r in records] == [r["post_local"] for r in alone_records]


def test_after_the_download_all_have_the_mean():
    """Both numbers of the literature: post_local is of what clients trained, post_download of the mean itself."""
    task = make_task(line_up=ALIKE)
    federation, _ = federate(FedAvg(), task, rounds=1)
    states = list(federation.states.values())
    assert not same(states[0], states[1])
    for k, state in federation.states.items():
        message = federation.method.download(federation.server, task.infos[k])
        assert same(federation.method.receive(state, message, task.infos[k]), federation.server)


def test_refuses_several_architectures():
    assert unsupported(FedAvg(), make_task()) == "it shares the extractor, which differs between linear and convolution"
    assert unsupported(FedAvg(), make_task(line_up=ALIKE)) is None
