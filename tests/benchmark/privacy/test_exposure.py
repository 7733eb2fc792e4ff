"""The exposure sheet of messages made by hand."""

import pytest
import torch

from benchmark.channel import Rows, Wire
from benchmark.conformance.toy import ALIKE, MIXED, make_task
from benchmark.privacy.exposure import exposed_share, exposure

CLASSES = 3


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network():
    """96 numbers in the rows of a matrix, and 4 in its bias."""
    return {"extractor": {"weight": numbers(8, 12), "bias": numbers(4, seed=1)}}


def sheet(up, down=None, labels=None, line_up=ALIKE, private=None):
    """Of a client's message each; client k has the classes labels[k], or all."""
    task = make_task((30,) * len(up), line_up=line_up, num_classes=CLASSES, labels=labels)
    messages = dict(enumerate(up))
    down = down or {k: {} for k in messages}
    return exposure(task, messages, down, private or {k: network() for k in messages}, None, Wire())


def own_counts(clients=1):
    task = make_task((30,) * clients, line_up=ALIKE, num_classes=CLASSES)
    return [task.class_counts[k] for k in range(clients)]


def test_the_share_of_a_network_that_travels_is_exact():
    private = network()["extractor"]
    assert exposed_share({"part": private}, network()) == 1
    assert exposed_share({"part": {"w": private["weight"]}}, network()) == 0.96
    assert exposed_share({"part": {"b": private["bias"]}}, network()) == 0.04
    assert exposed_share({"part": private["bias"]}, network()) == 0.04
    assert exposed_share({}, network()) == 0


def test_rows_that_travel_count_one_by_one():
    weight = network()["extractor"]["weight"]
    three = torch.zeros(8, dtype=torch.bool).index_fill(0, torch.tensor([0, 2, 5]), True)
    assert exposed_share({"table": Rows(weight, three)}, network()) == 0.36
    assert exposed_share({"table": torch.cat([weight[6:], numbers(3, 12, seed=2)])}, network()) == 0.24
    rounded = weight.clone()
    rounded[:, :6] = 0.5  # half of the numbers of each row, and so not more than half
    assert exposed_share({"table": rounded}, network()) == 0
    rounded[3, 0] = weight[3, 0]
    assert exposed_share({"table": rounded}, network()) == 0.12


def test_other_values_are_no_share():
    like = {name: numbers(*tensor.shape, seed=7) for name, tensor in network()["extractor"].items()}
    assert exposed_share({"part": like}, network()) == 0
    changed = {name: tensor.nextafter(torch.tensor(9.0)) for name, tensor in network()["extractor"].items()}
    assert exposed_share({"part": changed}, network()) == 0


def test_a_few_numbers_that_are_the_same_by_accident_are_no_share():
    """Three of four in a bias, and a row of seven; of a bias of eight numbers five have travelled, which is most."""
    bias, row, long = numbers(4), numbers(1, 7, seed=1), numbers(8, seed=2)
    private = {"extractor": {"bias": bias, "row": row, "long": long}}
    sent = torch.cat([bias[:3], row.flatten(), long[:5]])
    assert exposed_share({"other": sent}, private) == 8 / 19


def test_zeros_are_no_share():
    private = {"extractor": {"weight": torch.zeros(2, 10), "bias": torch.zeros(4)}}
    assert exposed_share({"table": torch.zeros(2, 10), "bias": torch.zeros(4)}, private) == 0


def test_the_share_is_a_mean_over_clients():
    weights = network()["extractor"]
    assert sheet([{"part": weights}, {"part": {"bias": weights["bias"]}}])["private_share"] == pytest.approx(0.52)


@pytest.mark.parametrize(
    ("other", "silent"),
    [
        ({"part": {"w": numbers(2, 3, seed=5)}}, True),
        ({"other": {"w": numbers(2, 3)}}, False),
        ({"part": {"v": numbers(2, 3)}}, False),
        ({"part": {"w": numbers(3, 2)}}, False),
        ({"part": {"w": numbers(2, 3).double()}}, False),
        ({"part": numbers(2, 3)}, False),
        ({"part": {"w": numbers(2, 3)}, "more": numbers(1)}, False),
    ],
    ids=["values", "name", "name of a tensor", "shape", "type", "kind", "more"],
)
def test_messages_say_nothing_of_networks_if_all_have_one_structure(other, silent):
    found = sheet([{"part": {"w": numbers(2, 3)}}, other], line_up=MIXED)
    assert found["silent"] == silent
    assert found["architectures"] == 2


def test_which_rows_are_there_says_nothing_of_the_network(rows):
    tables = [rows([[1.0], [2.0], [3.0]], present) for present in ([True, False, True], [True, True, True])]
    assert sheet([{"r": table} for table in tables])["silent"]
    wider = rows([[1.0, 1.0]] * 3, [True] * 3)
    assert not sheet([{"r": tables[0]}, {"r": wider}])["silent"]


FIRST_TWO = [True, True, False]
ALL = [True, True, True]


@pytest.mark.parametrize(
    ("labels", "present", "own"),
    [
        ([[0, 1], [0, 1]], [FIRST_TWO, FIRST_TWO], True),
        ([[0, 1], [0, 1]], [FIRST_TWO, ALL], False),
        ([[0, 1], [0, 1, 2]], [FIRST_TWO, ALL], True),
        ([[0, 1], [0, 1, 2]], [ALL, ALL], False),
        ([[0, 1, 2], [0, 1, 2]], [ALL, ALL], None),
        ([[0, 1, 2], [0, 1, 2]], [FIRST_TWO, ALL], False),
    ],
    ids=["own", "one has more", "one client has all", "all rows", "all classes", "fewer than it has"],
)
def test_rows_of_own_classes_alone(labels, present, own, rows):
    """If no client lacks a class, rows of own classes are all rows, and nobody can tell."""
    up = [{"r": rows([[1.0], [2.0], [3.0]], of)} for of in present]
    found = sheet(up, labels=labels)
    assert found["up"]["own_rows_only"] is own
    assert found["up"]["by_class"]
    assert found["down"]["own_rows_only"] is False  # it has no table


def test_a_table_of_something_else_than_classes_is_not_keyed_by_class(rows):
    up = {"r": rows([[1.0], [2.0]], [True, True])}
    assert not sheet([up])["up"]["by_class"]
    assert sheet([up])["up"]["own_rows_only"] is False


@pytest.mark.parametrize(
    ("value", "by_class"),
    [
        ({"w": numbers(CLASSES, 4)}, True),
        ({"w": numbers(4, CLASSES)}, True),
        (numbers(CLASSES), True),
        (numbers(4), False),
        ({"w": numbers(4, 5)}, False),
        ({"w": numbers(4, CLASSES, 5, 5)}, False),  # kernels of as many channels
    ],
)
def test_a_tensor_with_a_place_for_each_class_is_keyed_by_class(value, by_class):
    assert sheet([{"part": value}])["up"]["by_class"] == by_class


def test_counts_are_found_wherever_they_stand():
    (counts,) = own_counts()
    assert sheet([{"n": counts.float()}])["up"]["counts"]
    assert sheet([{"part": {"n": counts}}])["up"]["counts"]
    assert not sheet([{"n": counts + 1}])["up"]["counts"]
    assert not sheet([{"n": counts.flip(0)[:2]}])["up"]["counts"]
    assert sheet([{"n": torch.zeros(CLASSES)}, {"n": own_counts(2)[1]}])["up"]["counts"]  # of one client: enough


@pytest.mark.parametrize(
    ("part", "buffers"),
    [
        ({"weight": numbers(4)}, False),
        ({"weight": numbers(4), "norm.running_mean": numbers(4)}, True),
        ({"weight": numbers(4), "norm.num_batches_tracked": torch.tensor(3)}, True),
    ],
    ids=["weights", "running", "steps"],
)
def test_buffers(part, buffers):
    assert sheet([{"part": part}])["up"]["buffers"] == buffers


def test_bytes_and_numbers_are_means_over_the_clients_that_send(rows):
    """A present row has 4 bytes for each number and 4 for its index; absent ones are numbers that are not sent."""
    table = rows([[1.0, 2.0]] * 3, [True, True, False])
    found = sheet([{"a": numbers(10), "r": table}, {"a": numbers(20)}], down={0: {}, 1: {"b": numbers(6)}})
    assert found["up"]["bytes"] == {"a": 60.0, "r": 24.0}
    assert found["up"]["numbers"] == (16 + 20) / 2
    assert found["down"]["bytes"] == {"b": 24.0}
    assert found["down"]["numbers"] == 3
    assert found["sums_suffice"] is None
