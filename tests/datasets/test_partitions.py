"""Every partition, for every legal request: each sample once, deterministic, and it ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import registry
from benchmark.errors import RequestError
from benchmark.partition import draw

LABELS = np.repeat(np.arange(10), 60)


def divide(text, labels=LABELS, clients=10, seed=0, validation=0.0):
    name, partitioner = registry.partition(text, int(labels.max()) + 1)
    return draw(partitioner, name=name, dataset="toy", labels=labels, clients=clients, validation=validation, seed=seed)


def owned(text, labels, clients, seed=0):
    _, partitioner = registry.partition(text, int(labels.max()) + 1)
    return partitioner(labels, clients, np.random.default_rng(seed))


@settings(max_examples=150, deadline=None)
@given(
    classes=st.integers(2, 12),
    each=st.integers(20, 60),
    clients=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["iid", "pathological", "dirichlet"]),
    a=st.floats(1e-3, 100),
    n=st.integers(1, 12),
)
def test_every_sample_is_given_once(classes, each, clients, seed, kind, a, n):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), each))
    text = {"iid": "iid", "dirichlet": f"dirichlet:{a}", "pathological": f"pathological:{n}"}[kind]
    try:
        parts = owned(text, labels, clients, seed)
    except RequestError:
        assert (kind == "pathological" and (n > classes or n * clients < classes)) or (
            kind == "dirichlet" and each * classes < 10 * clients
        )
        return
    assert len(parts) == clients
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    if kind == "pathological":
        assert {len(set(labels[part])) for part in parts} == {n}
    if kind == "dirichlet":
        assert min(map(len, parts)) >= 10
    if kind == "iid":
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("clients, owners", [(10, 2), (50, 10), (100, 20)])
def test_pathological_on_ten_classes_has_the_papers_owners(clients, owners):
    parts = owned("pathological", np.repeat(np.arange(10), 6000), clients)
    counts = np.array([np.bincount(np.repeat(np.arange(10), 6000)[part], minlength=10) for part in parts])
    assert ((counts > 0).sum(0) == owners).all()
    assert ((counts > 0).sum(1) == 2).all()
    share = counts[counts > 0] / (6000 / owners)
    assert 0.4 / 0.6 - 0.01 < share.min() < share.max() < 0.6 / 0.4 + 0.01


def test_ten_clients_have_disjoint_labels_on_a_hundred_classes():
    labels = np.repeat(np.arange(100), 30)
    sets = [set(labels[part]) for part in owned("pathological", labels, 10)]
    assert {len(s) for s in sets} == {10}
    assert len(set().union(*sets)) == 100


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_clients_at_a_tenth_end(seed):
    parts = owned("dirichlet:0.1", np.repeat(np.arange(10), 6000), 100, seed)
    assert min(map(len, parts)) >= 10
    assert sum(map(len, parts)) == 60_000


def test_small_a_is_less_even_than_large_a():
    def evenness(text):
        return np.mean([np.bincount(LABELS[p], minlength=10).max() / len(p) for p in owned(text, LABELS, 10)])

    assert evenness("dirichlet:0.1") > evenness("dirichlet:1") > evenness("dirichlet:100")


def test_each_client_is_split_eighty_to_twenty():
    division = divide("iid")
    assert [tuple(map(len, split)) for split in division.splits] == [(48, 0, 12)] * 10
    division = divide("iid", validation=0.25)
    assert [tuple(map(len, split)) for split in division.splits] == [(36, 12, 12)] * 10
    everything = np.concatenate([np.concatenate(split) for split in division.splits])
    assert sorted(everything.tolist()) == list(range(600))


def test_validation_comes_out_of_the_training_samples():
    without, with_ = divide("pathological"), divide("pathological", validation=0.1)
    for (_, _, tests), (_, validation, same) in zip(without.splits, with_.splits, strict=True):
        assert np.array_equal(tests, same)
        assert len(validation) > 0


def test_counts_say_who_has_what():
    division = divide("pathological")
    for counts, splits in zip(division.counts, division.splits, strict=True):
        assert counts == np.bincount(LABELS[np.concatenate(splits)], minlength=10).tolist()


@pytest.mark.parametrize("text", ["iid", "pathological", "dirichlet:0.3"])
def test_the_hash_is_the_seeds(text):
    assert divide(text).hash == divide(text).hash
    assert divide(text).hash != divide(text, seed=1).hash


def test_samples_of_a_class_may_be_fewer_than_its_owners():
    labels = np.concatenate([np.repeat(np.arange(4), 40), [4] * 3])
    parts = owned("pathological:5", labels, 8)
    assert sorted(np.concatenate(parts).tolist()) == list(range(163))


@pytest.mark.parametrize(
    "text, clients, message",
    [
        ("pathological:11", 10, "pathological:11 is more classes per client than the 10 there are"),
        (
            "pathological:2",
            3,
            "leaves classes without an owner, there are 10; use pathological:4 or more, or 5 clients",
        ),
        ("dirichlet:0.5", 61, "leaves clients with fewer than 10; use at most 60 clients"),
        ("iid", 601, "iid with 601 clients on toy leaves clients empty: it has 600 samples"),
        ("iid", 400, "samples, too few to train and test on; use fewer clients"),
        ("pathological:0", 10, "classes_per_client"),
        ("pathological:x", 10, "pathological:x: classes_per_client value should be a valid integer"),
        ("dirichlet:-1", 10, "dirichlet:-1: a value should be greater than 0"),
        ("dirichlet:nan", 10, "finite number"),
        ("dirichlet", 10, "write dirichlet:a, for example dirichlet:0.3"),
        ("iid:3", 10, "iid takes no parameter"),
        ("dirichlett:3", 10, "unknown partition 'dirichlett'; did you mean 'dirichlet'?"),
    ],
)
def test_an_impossible_request_says_what_would_be_possible(text, clients, message):
    with pytest.raises(RequestError) as error:
        divide(text, clients=clients)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
