import pytest
import torch

from benchmark.channel import Channel, Inbox, RoundNumber, Rows, Wire, nbytes, wire_shape
from benchmark.errors import HookError


def test_bytes_are_element_size_times_number_of_elements():
    assert nbytes(torch.zeros(3, 5)) == 60
    assert nbytes(torch.zeros(3, dtype=torch.int64)) == 24
    assert nbytes({"weight": torch.zeros(2, 2), "bias": torch.zeros(2), "steps": torch.tensor(1)}) == 16 + 8 + 8


def test_rows_travel_as_their_present_rows_and_an_index_each():
    table = Rows(torch.zeros(10, 500), torch.arange(10) < 2)
    assert nbytes(table) == 2 * (500 * 4 + 4)
    assert nbytes(Rows(table.values, torch.zeros(10, dtype=torch.bool))) == 0
    assert nbytes(Rows(torch.zeros(1, 3), torch.ones(1, dtype=torch.bool))) == 3 * 4 + 4


def test_the_shape_of_what_travels_is_that_of_present_rows():
    table = Rows(torch.zeros(10, 5), torch.arange(10) < 2)
    assert wire_shape({"t": table})[1:] == ((torch.float32, 2, 5),)
    assert wire_shape({"w": torch.zeros(3, 4)})[1:] == ((torch.float32, 3, 4),)


def test_a_view_of_one_row_counts_one_row():
    matrix = torch.zeros(1000, 1000)
    channel = Channel({0: 1})
    channel.up(0, {"row": matrix[7]})
    assert channel.bytes("up")[0] == {"row": 4000}
    assert channel.inbox().messages[0]["row"].untyped_storage().nbytes() == 4000


def test_bytes_by_direction_client_and_name():
    channel = Channel({0: 1, 1: 1})
    channel.down(0, {"a": torch.zeros(2)})
    channel.down(1, {"a": torch.zeros(2), "b": torch.zeros(1)})
    channel.up(1, {"c": torch.zeros(5)})
    assert channel.bytes("down") == {0: {"a": 8}, 1: {"a": 8, "b": 4}}
    assert channel.bytes("up") == {1: {"c": 20}}


def test_the_server_knows_the_round_and_samples_of_those_who_sent():
    channel = Channel({0: 3, 1: 5}, RoundNumber(4, 9))
    channel.up(1, {"a": torch.zeros(1)})
    assert (channel.inbox().num_samples, channel.inbox().progress) == ({1: 5}, (4, 9))


def test_a_message_is_a_copy():
    """state_dict() shares storage; public code of the field averages one client with itself because of that."""
    net = torch.nn.Linear(2, 1)
    channel = Channel({0: 1, 1: 1})
    for k in range(2):
        torch.nn.init.constant_(net.weight, float(k))
        channel.up(k, {"net": net.state_dict()})
    assert [m["net"]["weight"][0, 0].item() for m in channel.inbox().messages.values()] == [0.0, 1.0]


def test_what_travels_lies_in_memory_as_it_is_written():
    assert Channel({}).down(0, {"w": torch.zeros(2, 3).T})["w"].is_contiguous()


def test_a_message_that_is_none_is_told_with_its_place():
    with pytest.raises(HookError, match="client 3, round 2, upload: "):
        Channel({3: 1}, RoundNumber(2, 5)).up(3, {"a": None})


class Doubling(Wire):
    """Sends twice of each upload, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def protected(self, client, message, broadcast):
        self.asked.append((client, broadcast))
        return {name: torch.cat([value, value]) for name, value in message.items()}


def test_uploads_pass_the_wire_with_what_their_client_has_received():
    wire = Doubling()
    channel = Channel({0: 1, 1: 1}, wire=wire)
    received = channel.down(1, {"a": torch.ones(1)})
    for client in (0, 1):
        channel.up(client, {"a": torch.zeros(2)})
    assert wire.asked == [(0, {}), (1, received)]
    assert channel.bytes("down") == {1: {"a": 4}}
    assert channel.bytes("up") == {0: {"a": 16}, 1: {"a": 16}}
    assert channel.inbox().messages[0]["a"].shape == (4,)


def test_absent_rows_do_not_exist_on_the_other_side():
    got = Channel({}).down(0, {"t": Rows(torch.tensor([[1.0], [2.0]]), torch.tensor([True, False]))})
    assert got["t"].values.tolist() == [[1.0], [0.0]]


def test_a_table_without_a_row_lies_where_it_is_asked_for():
    table = Rows.none(3, 1, torch.device("meta"))
    assert (table.values.shape, table.present.shape, table.present.dtype) == ((3, 1), (3,), torch.bool)
    assert table.values.device.type == table.present.device.type == "meta"


def test_rows_are_averaged_over_those_who_sent_them_alike_or_by_counts():
    """Class 0 from both, 1 from the second alone, 2 from nobody."""
    tables = [
        Rows(torch.tensor([[2.0], [0.0], [0.0]]), torch.tensor([True, False, False])),
        Rows(torch.tensor([[8.0], [5.0], [0.0]]), torch.tensor([True, True, False])),
    ]
    counts = [torch.tensor([1, 0, 0]), torch.tensor([3, 4, 0])]
    box = Inbox({k: {"t": t, "n": n} for k, (t, n) in enumerate(zip(tables, counts, strict=True))}, {0: 1, 1: 7})
    alike, weighted = box.mean_rows("t"), box.mean_rows("t", counts="n")
    assert alike.values.tolist() == [[5.0], [5.0], [0.0]]
    assert weighted.values.tolist() == [[(2 * 1 + 8 * 3) / 4], [5.0], [0.0]]
    assert alike.present.tolist() == weighted.present.tolist() == [True, True, False]


def test_a_count_that_noise_has_made_negative_weighs_nothing():
    tables = [Rows(torch.tensor([[x], [x]]), torch.tensor([True, True])) for x in (2.0, 8.0)]
    counts = [torch.tensor([-3.0, -1.0]), torch.tensor([2.0, -1.0])]
    box = Inbox({k: {"t": t, "n": n} for k, (t, n) in enumerate(zip(tables, counts, strict=True))}, {0: 1, 1: 1})
    assert box.mean_rows("t", counts="n").values.tolist() == [[8.0], [0.0]]


def inbox(*weights: float, samples=(1, 1, 1)) -> Inbox:
    return Inbox({k: {"net": {"w": torch.tensor([w])}} for k, w in enumerate(weights)}, dict(enumerate(samples)))


def test_the_mean_of_two_known_models_is_their_mean():
    assert inbox(1.0, 4.0).mean(["net"])["net"]["w"].item() == 2.5


def test_the_mean_is_weighted_with_samples_of_the_participants():
    assert inbox(1.0, 4.0, 7.0, samples=(1, 2, 5)).mean(["net"])["net"]["w"].item() == pytest.approx((1 + 8 + 35) / 8)


def test_the_mean_is_of_clients_alike_if_that_is_asked_for():
    assert inbox(1.0, 4.0, samples=(1, 3)).mean(["net"], weighting="uniform")["net"]["w"].item() == 2.5


def test_the_mean_of_equals_is_exact():
    assert inbox(0.1, 0.1, 0.1, samples=(3, 7, 11)).mean(["net"])["net"]["w"].item() == torch.tensor(0.1).item()


def test_integers_are_rounded_to_integers():
    box = Inbox({0: {"net": {"n": torch.tensor(3)}}, 1: {"net": {"n": torch.tensor(8)}}}, {0: 1, 1: 3})
    mean = box.mean(["net"])["net"]["n"]
    assert (mean.item(), mean.dtype) == (7, torch.int64)  # 6.75


def test_the_mean_does_not_depend_on_who_came_first():
    a = Inbox({0: {"n": {"w": torch.tensor([0.1])}}, 1: {"n": {"w": torch.tensor([0.7])}}}, {0: 1, 1: 2})
    b = Inbox(dict(reversed(list(a.messages.items()))), a.num_samples)
    assert torch.equal(a.mean(["n"])["n"]["w"], b.mean(["n"])["n"]["w"])
