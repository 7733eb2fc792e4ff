"""Every partition, for every legal request: each sample once, deterministic, and it ends."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import RequestError, telling
from benchmark.partition import contents_hash, cut, dirichlet_shares, draw, fill_up
from benchmark.plugins import registry

LABELS = np.repeat(np.arange(10), 60)
FILLED_UP = {"dirichlet", "quantity", "label-quantity"}


def divide(text, labels=LABELS, clients=10, seed=0, validation=0.0, owners=None):
    division = registry.partition(text, int(labels.max()) + 1)
    arrays = {"labels": labels, "owners": owners}
    return draw(division, dataset="toy", **arrays, clients=clients, validation=validation, seed=seed)


def owned(text, labels, clients, seed=0, **supplied):
    division = registry.partition(text, int(labels.max()) + 1)
    return division.partitioner(labels, clients, np.random.default_rng(seed), **supplied)


@settings(max_examples=200, deadline=None)
@given(
    classes=st.integers(2, 12),
    each=st.integers(20, 60),
    clients=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(sorted(registry.catalogue("datasets.partitions"))),
    a=st.floats(1e-3, 100),
    q=st.floats(1e-3, 100),
    n=st.integers(1, 12),
    families=st.integers(1, 40),
)
def test_every_sample_is_given_once(classes, each, clients, seed, kind, a, q, n, families):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(classes), each))
    owners = rng.integers(families, size=len(labels)) ** 2
    values = {"dirichlet": [a], "pathological": [n], "quantity": [q], "label-quantity": [a, q]}.get(kind, [])
    text = ":".join([kind, *map(repr, values)])
    try:
        supplied = {
            "natural": {"owners": owners},
            "given": {"owners": owners, "held_out": rng.random(len(labels)) < 0.5},
        }
        parts = owned(text, labels, clients, seed, **supplied.get(kind, {}))
    except RequestError:
        assert (
            (kind == "pathological" and (n > classes or n * clients < classes))
            or (kind in FILLED_UP and each * classes < 10 * clients)
            or (kind == "natural" and len(set(owners)) < clients)
            or kind == "given"  # which needs exactly as many, and both parts of each
        )
        return
    if kind == "given":
        parts = [np.concatenate(part) for part in parts]
    assert len(parts) == clients
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    sizes = [len(part) for part in parts]
    if kind == "pathological":
        assert {len(set(labels[part])) for part in parts} == {n}
    if kind in FILLED_UP:
        assert min(sizes) >= 10
    if kind == "iid":
        assert max(sizes) - min(sizes) <= 1
    if kind == "natural":
        assert sum(len(set(owners[part])) for part in parts) == len(set(owners))  # nobody at two clients
        assert max(sizes) - min(sizes) <= np.bincount(owners).max()


def test_natural_clients_are_the_owners():
    owners = np.array([7, 3, 3, 7, 5, 3])
    parts = owned("natural", np.array([0, 1, 0, 1, 0, 1]), 3, owners=owners)
    assert sorted(part.tolist() for part in parts) == [[0, 3], [1, 2, 5], [4]]


def test_owners_beyond_the_clients_go_to_those_with_the_fewest_samples():
    """Owners of 4, 3, 2 and 1 samples at two clients: whatever the order, no greedy dealing leaves 7 to 3 or worse."""
    owners = np.repeat([0, 1, 2, 3], [4, 3, 2, 1])
    dealt = set()
    for seed in range(40):
        a, b = owned("natural", owners % 2, 2, seed, owners=owners)
        dealt.add(frozenset([frozenset(owners[a].tolist()), frozenset(owners[b].tolist())]))
        assert abs(len(a) - len(b)) <= 4
    assert len(dealt) > 1  # the order is drawn


def test_quantities_are_uneven_and_labels_alike():
    labels = np.repeat(np.arange(2), 50_000)
    even, uneven = (owned(f"quantity:{a}", labels, 10) for a in ("1000", "0.5"))
    assert np.std([len(part) for part in even]) < 1000 < np.std([len(part) for part in uneven])
    for part in uneven:
        if len(part) > 1000:
            assert abs(labels[part].mean() - 0.5) < 5 * 0.5 / np.sqrt(len(part))


def test_labels_and_quantities_have_a_parameter_each():
    labels = np.repeat(np.arange(10), 6000)

    def unevenness(text):
        counts = np.array([np.bincount(labels[part], minlength=10) for part in owned(text, labels, 10)])
        sizes = counts.sum(1)
        return np.abs(counts / sizes[:, None] - 0.1).max(), sizes.std() / sizes.mean()

    for text, uneven_labels, uneven_sizes in [
        ("label-quantity:10000:10000", False, False),
        ("label-quantity:0.1:10000", True, True),  # of ten classes, each at one client or two: sizes follow
        ("label-quantity:10000:0.5", False, True),
    ]:
        label, size = unevenness(text)
        assert (label > 0.1, size > 0.1) == (uneven_labels, uneven_sizes), (text, label, size)


def test_shares_of_a_class_have_the_sizes_as_their_mean():
    mean = np.array([0.6, 0.3, 0.1])
    rng = np.random.default_rng(0)
    shares = np.array([dirichlet_shares(mean, 2.0, rng) for _ in range(4000)])
    np.testing.assert_allclose(shares.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(shares.var(0), mean * (1 - mean) / (2.0 * 3 + 1), rtol=0.15)  # a x n = 6 in all


@pytest.mark.parametrize("a", [0.0, 1e-300, 1e300, 1.7e308])
def test_shares_are_a_whole_at_both_ends_of_what_floats_can_say(a):
    shares = dirichlet_shares(np.full(5, 0.2), a, np.random.default_rng(0))
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(np.sort(shares), [0, 0, 0, 0, 1] if a < 1 else [0.2] * 5, atol=1e-5)


def test_samples_are_cut_in_proportion_and_the_smallest_filled_up_from_the_largest():
    assert [part.tolist() for part in cut(np.arange(6), np.array([1.0, 0, 2.0]))] == [[0, 1], [], [2, 3, 4, 5]]
    filled = fill_up([[], list(range(12)), list(range(12, 30))], np.random.default_rng(0))
    assert [len(part) for part in filled] == [10, 10, 10]
    assert sorted(np.concatenate(filled).tolist()) == list(range(30))


def test_who_has_as_many_as_everybody_must_is_left_alone():
    shares = [list(range(10)), list(range(10, 40))]
    assert [part.tolist() for part in fill_up(shares, np.random.default_rng(0))] == shares


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


@pytest.mark.parametrize(
    "text", ["iid", "pathological", "dirichlet:0.3", "quantity:1", "label-quantity:0.3:1", "natural"]
)
def test_the_hash_is_the_seeds(text):
    owners = np.arange(600) % 10
    assert divide(text, owners=owners).hash == divide(text, owners=owners).hash
    assert divide(text, owners=owners).hash != divide(text, owners=owners, seed=1).hash


@pytest.mark.parametrize(
    "text, expected",
    [("iid", "466637337b452b9d"), ("pathological", "c32ff555dbd98871"), ("dirichlet:0.3", "f5af1b2f517854ed")],
)
def test_what_was_drawn_before_is_drawn_again(text, expected):
    """By the first version of the code that drew them: stored results rest on these indices."""
    assert divide(text, validation=0.1).hash == expected


def test_a_shift_leaves_the_indices_as_they_are():
    assert divide("dirichlet:0.3+rotated").hash == divide("dirichlet:0.3").hash != divide("dirichlet:0.4").hash


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
        ("pathological:x", 10, "pathological:x: classes_per_client should be a valid integer"),
        ("dirichlet:-1", 10, "dirichlet:-1: a should be greater than 0"),
        ("dirichlet:nan", 10, "finite number"),
        ("dirichlet", 10, "dirichlet takes 1 parameter, not 0; write dirichlet:a, for example dirichlet:0.3"),
        ("dirichlet:1:2", 10, "dirichlet takes 1 parameter, not 2; write dirichlet:a"),
        (
            "label-quantity:1",
            10,
            "takes 2 parameters, not 1; write label-quantity:a:q, for example label-quantity:0.3:0.3",
        ),
        ("pathological:2:2", 10, "write pathological:classes_per_client, for example pathological:2"),
        ("label-quantity:1:x", 10, "label-quantity:1:x: q should be a valid number, not 'x'"),
        ("label-quantity:0:1", 10, "label-quantity:0:1: a should be greater than 0, not '0'"),
        ("quantity:", 10, "quantity:: a should be a valid number"),
        ("quantity:1", 61, "leaves clients with fewer than 10; use at most 60 clients"),
        ("label-quantity:1:1", 61, "leaves clients with fewer than 10; use at most 60 clients"),
        ("natural", 10, "natural needs to know who each sample belongs to, and toy does not say; an .npz says it with"),
        ("natural:3:3", 10, "natural takes at most 1 parameter; write natural or natural:least"),
        ("natural:0", 10, "natural:0: least should be greater than or equal to 1"),
        ("given", 10, "given needs to know who each sample belongs to, and toy does not say"),
        ("given:1", 10, "given takes no parameter"),
        ("iid:3", 10, "iid takes no parameter; write iid, not iid:3"),
        ("iid+rotatet", 10, "unknown shift 'rotatet'; did you mean 'rotated'?"),
        ("iid+", 10, "unknown shift ''; there are: recoloured, rotated"),
        ("iid+rotated+rotated", 10, "a shift stands twice in 'iid+rotated+rotated'"),
        ("dirichlett:3", 10, "unknown partition 'dirichlett'; did you mean 'dirichlet'?"),
    ],
)
def test_an_impossible_request_says_what_would_be_possible(text, clients, message):
    with pytest.raises(RequestError) as error:
        divide(text, clients=clients)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_fewer_owners_than_clients_says_how_many_there_are():
    with pytest.raises(RequestError, match="the samples belong to 4 owners; use at most 4 clients"):
        divide("natural", owners=np.arange(600) % 4)


def test_an_owner_with_too_few_samples_is_told_of():
    with pytest.raises(RequestError, match=r"natural with 2 clients on toy .* samples, too few to train and test on"):
        divide("natural", clients=2, owners=(np.arange(600) > 1).astype(int))


def rare(sizes, text, clients, seed=0):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return divide(text, labels=np.random.default_rng(0).permutation(labels), clients=clients, seed=seed)


@pytest.mark.parametrize(
    "sizes, text, clients",
    [
        ([40, 40, 40, 40, 3], "pathological:5", 8),
        ([100, 100, 1], "pathological:2", 6),
        ([100, 2, 100], "pathological:2", 10),
        ([50, 50, 50, 1], "pathological:4", 2),
        ([500, 500, 9], "pathological:3", 30),
    ],
)
def test_a_class_rarer_than_its_owners_is_said_instead_of_dealing_fewer_classes(sizes, text, clients):
    with pytest.raises(RequestError) as error:
        rare(sizes, text, clients)
    assert f"{text} with {clients} clients on toy: client " in str(error.value)
    assert f"class number {int(np.argmin(sizes))} has {min(sizes)}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "sizes, text, clients",
    [([100, 100, 5], "pathological:1", 6), ([100, 1], "pathological:1", 2), ([40, 40, 40, 8], "pathological:4", 8)],
)
def test_a_class_with_a_sample_for_each_owner_is_dealt_as_promised(sizes, text, clients):
    try:
        found = rare(sizes, text, clients)
    except RequestError as error:
        assert "too few to train and test on" in str(error)  # a single sample makes no client
        return
    assert {sum(n > 0 for n in row) for row in found.counts} == {int(text[-1])}


def test_rare_classes_are_no_matter_to_partitions_that_promise_nothing_of_them():
    for text in ("iid", "dirichlet:0.3", "quantity:1", "label-quantity:1:1"):
        assert sum(map(sum, rare([100, 100, 1], text, 6).counts)) == 201


def test_owners_with_too_few_samples_are_left_out_and_told_of():
    owners = np.repeat([0, 1, 2, 3], [300, 200, 90, 10])
    told = []
    with telling(told.append):
        found = divide("natural:20", clients=3, owners=owners)
    held = [{int(owners[i]) for i in np.concatenate(splits)} for splits in found.splits]
    assert sorted(map(tuple, held)) == [(0,), (1,), (2,)]
    assert told == ["natural:20 with 3 clients on toy: left out: 10 of 600 samples"]
    for text, message in (("natural:250", "belong to 1 owners with 250 samples or more"), ("natural:1000", "0 owners")):
        with pytest.raises(RequestError, match=message):
            divide(text, clients=3, owners=owners)


def test_natural_is_one_name_and_the_draw_of_before():
    owners = np.arange(600) % 10
    assert registry.partition("natural:1", 10).name == registry.partition("natural", 10).name == "natural"
    assert registry.partition("natural:2+rotated", 10).name == "natural:2+rotated"
    assert divide("natural:1", owners=owners).hash == divide("natural", owners=owners).hash


def test_the_natural_draw_is_what_it_was():
    """By the code from before it took a parameter."""
    owners = np.random.default_rng(0).integers(0, 25, 600)
    assert divide("natural", owners=owners, validation=0.1).hash == "4aedc503ccf19567"


HELD_OUT = np.arange(600) % 4 == 0


def given_split(owners, clients=5, held_out=HELD_OUT, **others):
    division = registry.partition("given", 10)
    known = {"labels": LABELS, "owners": owners, "held_out": held_out}
    return draw(division, dataset="toy", **known, clients=clients, **{"validation": 0.0, "seed": 0} | others)


def test_given_keeps_the_split_of_the_data():
    owners = np.arange(600) // 120 * 3
    found = given_split(owners)
    for client, (train, validation, test) in enumerate(found.splits):
        assert train.tolist() == [i for i in range(600) if owners[i] == 3 * client and i % 4]
        assert test.tolist() == [i for i in range(600) if owners[i] == 3 * client and not i % 4]
        assert len(validation) == 0
    assert given_split(owners, seed=1).hash == found.hash  # nothing is drawn


def test_given_validation_comes_out_of_the_training_samples():
    owners = np.arange(600) // 120
    for (train, validation, test), (all_train, _, same) in zip(
        given_split(owners, validation=0.1).splits, given_split(owners).splits, strict=True
    ):
        assert np.array_equal(test, same)
        assert sorted([*train, *validation]) == all_train.tolist()
        assert len(validation) == 9
        assert validation.tolist() != all_train[:9].tolist()  # drawn, not the first


def test_validation_is_one_sample_at_least_and_too_few_samples_are_counted():
    """Owner 0 has two training samples and three test samples, of which one each is left if one is held back."""
    owners = np.r_[[0] * 5, [1] * 595]
    held_out = np.r_[[False, False, True, True, True], np.arange(595) % 4 == 0]
    assert [len(split) for split in given_split(owners, 2, held_out, validation=0.1).splits[0]] == [1, 1, 3]
    held_out[1] = True
    one_left = (
        "leaves client 0 with 5 samples, too few to train and test on; use fewer clients or a more even partition, or "
    )
    with pytest.raises(RequestError, match=one_left + "natural:n to leave out owners of fewer than n samples$"):
        given_split(owners, 2, held_out, validation=0.1)


def test_as_many_clients_as_samples_are_too_many_by_what_each_has():
    with pytest.raises(RequestError, match=r"client 0 with 1 samples, too few .* or a more even partition$"):
        divide("iid", clients=600)


@pytest.mark.parametrize(
    "owners, clients, held_out, message",
    [
        (np.arange(600) % 5, 4, HELD_OUT, "given has a client for each of the 5 owners, not 4; use 5 clients"),
        (np.arange(600) % 5, 6, HELD_OUT, "for each of the 5 owners, not 6"),
        (np.arange(600) % 5, 5, np.arange(600) % 5 == 2, "given: owner 0 has no test samples in the data; use natural"),
        (np.arange(600) % 5, 5, np.arange(600) % 5 != 2, "given: owner 0 has no training samples in the data"),
        (None, 5, HELD_OUT, "given needs to know who each sample belongs to"),
    ],
)
def test_a_given_split_that_is_none_is_one_line(owners, clients, held_out, message):
    with pytest.raises(RequestError, match=message):
        given_split(owners, clients, held_out)


def test_contents_are_told_apart_by_client_part_picture_and_label_and_not_by_order():
    images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
    labels = np.arange(8) % 2
    a, b = (np.array([0, 1, 2]), np.array([3])), (np.array([4, 5, 6]), np.array([7]))

    def digest(splits=(a, b), images=images, labels=labels):
        return contents_hash(images, labels, splits)

    order = np.array([7, 6, 5, 4, 3, 2, 1, 0])  # the same data set in another order
    turned = [tuple(7 - indices for indices in split) for split in (a, b)]
    assert digest() == digest([(a[0][::-1], a[1]), b]) == digest(turned, images[order], labels[order])
    moved = [(np.array([0, 1, 3]), np.array([2])), b]
    others = [digest([b, a]), digest(moved), digest(images=images + 1), digest(labels=1 - labels), digest([a])]
    assert len({digest(), digest(images=images.reshape(8, 1, 1, 1).repeat(2, 1)), *others}) == 7


def test_the_digest_of_contents_by_hand():
    """The shape of a picture; for each part its length, and the sorted digests of its pictures with their labels."""
    images, labels = np.array([7, 9, 8], dtype=np.uint8).reshape(3, 1, 1, 1), np.array([2, 0, 1])

    def own(pixel, label):
        return hashlib.sha256(bytes([pixel]) + bytes(7) + bytes([label])).digest()

    parts = [sorted([own(7, 2), own(9, 0)]), [own(8, 1)]]
    text = b"(1, 1, 1)" + b"".join(bytes(7) + bytes([len(part)]) + b"".join(part) for part in parts)
    digest = contents_hash(images, labels, [(np.array([0, 1]), np.array([2]))])
    assert digest == hashlib.sha256(text).hexdigest()[:16]
    with pytest.raises(ValueError, match="shorter"):
        contents_hash(images, labels[:2], [])
