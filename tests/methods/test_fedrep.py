"""FedRep: the header on a still extractor, then the extractor under a still header."""

import copy
from itertools import chain, islice

import pytest
import torch
from torch import nn

from benchmark.channel import same
from benchmark.compatibility import unsupported
from benchmark.conformance.toy import ALIKE, federate, make_task
from benchmark.method import Phase, initial_parts
from methods.fedper import FedPer
from methods.fedrep import FedRep


@pytest.mark.parametrize("header_epochs, extractor_epochs", [(None, None), (3, 1)])
def test_equals_the_algorithm_box_written_by_hand(header_epochs, extractor_epochs, passes, step, weighted_mean):
    """Two rounds of three clients in plain PyTorch, two local epochs; a client's passes go on from part to part."""
    task = make_task((4, 4, 8), line_up=ALIKE)
    method = FedRep(header_epochs=header_epochs, extractor_epochs=extractor_epochs)
    federation, _ = federate(method, task, rounds=2, local_epochs=2)
    extractor = initial_parts(method, task, None)["extractor"]
    headers = [initial_parts(method, task, k)["header"] for k in range(3)]
    theta = copy.deepcopy(extractor.state_dict())
    for t in (1, 2):
        sent = []
        for k, header in enumerate(headers):
            extractor.load_state_dict(theta)
            drawn = passes(federation, k, t)
            for part, epochs in ((header, header_epochs or 2), (extractor, extractor_epochs or 2)):
                optimiser = torch.optim.SGD(part.parameters(), lr=0.1, fused=True)
                for x, y in chain.from_iterable(islice(drawn, epochs)):
                    step(optimiser, nn.functional.cross_entropy(header(extractor(x)), y))
            sent.append(copy.deepcopy(extractor.state_dict()))
        theta = weighted_mean(sent, (4, 4, 8))
    assert same(federation.server, {"extractor": theta})
    for k, header in enumerate(headers):
        assert same(federation.states[k], {"extractor": dict(sent[k]), "header": dict(header.state_dict())})


def test_the_header_learns_on_the_extractor_that_came():
    """A round's header does not depend on how the extractor is trained: it was trained first."""
    task = make_task(line_up=ALIKE)
    (short, _), (long, _) = (federate(FedRep(extractor_epochs=n), task, rounds=1) for n in (1, 5))
    for k in range(3):
        assert same(short.states[k]["header"], long.states[k]["header"])
        assert not same(short.states[k]["extractor"], long.states[k]["extractor"])


@pytest.mark.parametrize("header, extractor, steps", [(None, None, 8), (1, None, 6), (10, 1, 22), (None, 3, 10)])
def test_epochs_of_each_part(header, extractor, steps):
    """8 samples in batches of 4 are two steps a pass; two local epochs unless a part has a number of its own."""
    method = FedRep(header_epochs=header, extractor_epochs=extractor)
    _, records = federate(method, make_task((8,), line_up=ALIKE), rounds=1, local_epochs=2)
    assert [c["steps"] for c in records[0]["clients"]] == [steps]


def test_training_both_together_it_is_fedper():
    class Together(FedRep):
        def phases(self):
            return (Phase(),)

    task = make_task(line_up=ALIKE)
    together, records = federate(Together(), task, rounds=3, participation=0.7)
    fedper, fedper_records = federate(FedPer(), task, rounds=3, participation=0.7)
    assert same(together.server, fedper.server)
    assert same(together.states, fedper.states)
    assert [r["post_download"] for r in records] == [r["post_download"] for r in fedper_records]


def test_refuses_several_architectures():
    reason = unsupported(FedRep(), make_task())
    assert reason == "it shares the extractor, which differs between linear and convolution"
    assert unsupported(FedRep(), make_task(line_up=ALIKE)) is None
