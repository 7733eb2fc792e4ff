"""How FedAPEN learns lambda: on the adaptability set alone, and for itself."""

from dataclasses import replace

import torch

from benchmark.channel import same
from benchmark.conformance.toy import federate, make_task
from methods.fedapen import FedAPEN


def test_however_fast_lambda_is_learned_it_stays_a_share():
    federation, _ = federate(FedAPEN(mix_lr=1e6), make_task())
    assert {state["mix"]["weight"].item() for state in federation.states.values()} <= {0.0, 1.0}


def test_lambda_starts_even_and_is_learned_as_the_paper_says():
    """Ten passes over 5 % with the rate 0.001; the networks learn on the other 95 %."""
    first, second = FedAPEN().phases()
    assert FedAPEN().mix == 0.5
    assert (first.trains, first.epochs, first.lr, first.samples) == (("mix",), 10, {"mix": 0.001}, ((0.0, 0.05),))
    assert first.weight_decay == 0
    assert (second.trains, second.samples) == (("extractor", "header", "shared"), ((0.05, 1.0),))


def other_labels(task, which: slice):
    """The same task, these of each client's training samples relabelled."""
    labels = task.labels.clone()
    for data in task.clients:
        labels[data.train[which]] = (labels[data.train[which]] + 1) % task.num_classes
    return replace(task, labels=labels)


def networks(state):
    return {part: state[part] for part in ("extractor", "header", "shared")}


def test_lambda_is_learned_on_the_adaptability_set_alone():
    """Other labels on the rest leave it as it is, in a first round; other labels on the set do not."""
    task, method = make_task((20, 20, 20)), FedAPEN(adaptability=0.25, mix_lr=0.1)
    plain, rest, own = (
        federate(method, t, rounds=1)[0]
        for t in (task, other_labels(task, slice(5, None)), other_labels(task, slice(5)))
    )
    for k in range(3):
        assert same(plain.states[k]["mix"], rest.states[k]["mix"])
        assert not same(networks(plain.states[k]), networks(rest.states[k]))
        assert not same(plain.states[k]["mix"], own.states[k]["mix"])


def test_the_networks_never_see_the_adaptability_set():
    """With a lambda that stands still, other labels on the set change nothing."""
    task, method = make_task((20, 20, 20)), FedAPEN(adaptability=0.25, mix_lr=1e-30)
    plain, other = (federate(method, t, rounds=2)[0] for t in (task, other_labels(task, slice(5))))
    assert same(plain.states, other.states)
    assert plain.states[0]["mix"]["weight"].item() == 0.5


def test_weight_decay_is_for_the_networks():
    """It would pull lambda towards 0, the shared network's side."""
    plain, decayed = (federate(FedAPEN(), make_task(), rounds=1, weight_decay=decay)[0] for decay in (0.0, 0.5))
    for k in range(3):
        assert same(plain.states[k]["mix"], decayed.states[k]["mix"])
        assert not same(plain.states[k]["header"], decayed.states[k]["header"])


def test_lambda_stays_at_home_and_goes_on():
    federation, records = federate(FedAPEN(), make_task(), rounds=1)
    assert set(records[0]["clients"][0]["bytes_up"]) == set(federation.server) == {"shared"}
    before = [federation.states[k]["mix"]["weight"].item() for k in range(3)]
    federation.round(2)
    after = [federation.states[k]["mix"]["weight"].item() for k in range(3)]
    assert all(b != 0.5 and b != a and abs(a - b) < 0.1 for b, a in zip(before, after, strict=True))


def test_after_a_download_the_mixture_is_with_the_new_shared_network():
    task = make_task()
    federation, records = federate(FedAPEN(), task)
    for k, data in enumerate(task.clients):
        own = federation.engine.load(k, federation.states[k] | {"shared": federation.server["shared"]})
        for part in own.parts.values():
            part.eval()
        x, y = task.batch(data.test)
        share = federation.states[k]["mix"]["weight"].item()
        with torch.no_grad():
            scores = share * own.header(own.extractor(x)) + (1 - share) * own.shared(x)
        assert records[-1]["post_download"]["correct"][k] == int((scores.argmax(1) == y).sum())
