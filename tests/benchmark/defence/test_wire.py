"""What travels in place of a message, worked out by hand, and its bytes."""

from math import ceil, log2

import pytest
import torch

from benchmark.channel import Channel, RoundNumber, same
from benchmark.config import FederationConfig, federation_config
from benchmark.defence.secure_aggregation import KEYS_AND_SHARES, key_bytes, summed_bytes
from benchmark.defence.wire import clipped, in_few_bits, noisy, wire_of
from benchmark.errors import RequestError

ROUND = RoundNumber(1, 20)


def wire(num_samples=None, **settings):
    return wire_of(FederationConfig(rounds=20, **settings), 0, ROUND, num_samples or {0: 10, 1: 10})


def test_clipping_is_of_all_numbers_together_and_relative_to_the_broadcast(rows):
    """The message is 3 and 4 away from the broadcast, so 5; a norm of 1 leaves 0.6 and 0.8."""
    broadcast = {"w": {"a": torch.tensor([1.0, 1.0])}}
    message = {"w": {"a": torch.tensor([4.0, 1.0])}, "r": rows([[4.0], [9.0]], [True, False])}
    got = clipped(message, broadcast, 1.0)
    torch.testing.assert_close(got["w"]["a"], torch.tensor([1.6, 1.0]))
    assert got["r"].values.flatten().tolist() == [pytest.approx(0.8), 0]
    assert same(clipped(message, broadcast, 50.0)["w"], message["w"])


def test_eight_and_four_bits_are_multiples_of_the_largest_difference():
    message = {"w": {"a": torch.tensor([1.0, 8.0, 4.5, 1.0 + 7 / 16])}}
    broadcast = {"w": {"a": torch.ones(4)}}
    got = in_few_bits(message, broadcast, 4, None)["w"]["a"]  # differences 0, 7, 3.5, 0.44 in steps of 1
    assert got.tolist() == [1, 8, 5, 1]
    assert in_few_bits(message, broadcast, 8, None)["w"]["a"][3] == pytest.approx(1 + 8 * 7 / 127)


@pytest.mark.parametrize(("bits", "error"), [(8, 0.02), (4, 0.3)])
def test_few_bits_that_are_summed_keep_long_messages(bits, error):
    """Of 10,000 numbers of norm 1 each is 0.01 on average; steps are 0.06 / 127 or 0.06 / 7, errors step / sqrt(12)."""
    torch.manual_seed(0)
    message = {"w": {"a": torch.nn.functional.normalize(torch.randn(10_000), dim=0)}}
    summed = wire(secure_aggregation=True, message_bits=bits, message_clip=1.0)
    left = summed.protected(0, message, {})["w"]["a"] - message["w"]["a"]
    assert 0 < left.norm() < error


def test_few_bits_that_are_summed_do_not_cut_noise_off():
    """Noise of 2.7 clipping norms on a number of one: the mean of 4,000 has a deviation of 0.04."""
    settings = {"message_clip": 1.0, "dp_epsilon": 8.0, "message_layout": "fixed", "message_bits": 8}
    summed = wire(secure_aggregation=True, **settings)
    got = torch.stack([summed.protected(k, {"x": torch.tensor([1.0])}, {})["x"] for k in range(4000)])
    assert got.mean() == pytest.approx(1.0, abs=0.15)
    assert got.std() == pytest.approx(2.7, abs=0.1)


def test_whole_numbers_stay_and_variances_stay_above_zero():
    message = {"w": {"steps": torch.tensor(3), "x.running_var": torch.zeros(500)}}
    got = noisy(message, {}, 1.0)["w"]
    assert got["steps"] == 3 and got["x.running_var"].min() == 0 and got["x.running_var"].max() > 1


def test_a_fixed_layout_has_all_rows_and_those_that_were_there_as_they_were(rows):
    table = rows([[1.0, 2.0], [0.0, 0.0], [3.0, 5.0]], [True, False, True])
    got = wire(message_layout="fixed").protected(0, {"r": table}, {})["r"]
    assert got.present.all()
    assert torch.equal(got.values[[0, 2]], table.values[[0, 2]]) and got.values[1].abs().sum() > 0
    again = wire(message_layout="fixed").protected(0, {"r": table}, {})["r"]
    other = wire(message_layout="fixed").protected(1, {"r": table}, {})["r"]
    assert torch.equal(got.values, again.values) and not torch.equal(got.values, other.values)


def test_a_fixed_layout_of_a_table_without_rows_has_the_broadcasts_and_noise_is_in_all_of_them(rows):
    nothing, known = rows([[0.0], [0.0]], [False, False]), rows([[5.0], [0.0]], [True, False])
    got = wire(message_layout="fixed").protected(0, {"r": nothing}, {"r": known})["r"]
    assert got.present.all() and got.values.flatten().tolist() == [5, 0]
    settings = {"message_clip": 1.0, "dp_epsilon": 8.0, "message_layout": "fixed"}
    noise = wire(**settings).protected(0, {"r": nothing}, {})["r"]
    assert noise.present.all() and (noise.values != 0).all()


def test_noise_is_a_multiple_of_the_clipping_norm():
    """sigma is 2.7 for an epsilon of 8 over 20 rounds; central noise is shared by two clients that weigh the same."""
    settings = {"message_clip": 0.5, "dp_epsilon": 8.0, "message_layout": "fixed"}
    message = {"w": {"a": torch.zeros(40_000)}}
    local = wire(**settings).protected(0, message, {})["w"]["a"]
    central = wire(**settings, dp_noise="central").protected(0, message, {})["w"]["a"]
    assert float(local.std()) == pytest.approx(2.68 * 0.5, rel=0.02)
    assert float(central.std()) == pytest.approx(2.68 * 0.5 / 2**0.5, rel=0.02)


def test_central_noise_hides_the_client_that_weighs_the_most():
    """Weights 3 and 1: the sum of 3 m_0 + m_1 moves by 3 S at most, and its noise has the deviation of 3 sigma S."""
    defended = wire({0: 3, 1: 1}, message_clip=1.0, dp_epsilon=8.0, message_layout="fixed", dp_noise="central")
    assert (9 + 1) ** 0.5 * defended.deviation == pytest.approx(3 * 2.68, rel=0.01)


def sent(wire_, message):
    channel = Channel({0: 10, 1: 10}, ROUND, (), wire_)
    channel.down(0, {"w": {"a": torch.zeros(10)}})
    channel.up(0, message)
    return channel.bytes("up")[0], channel.bytes("down")[0]


def test_bytes_follow_from_what_travels(rows):
    message = {"w": {"a": torch.ones(10), "steps": torch.tensor(1)}, "r": rows([[1.0] * 5, [0.0] * 5], [True, False])}
    plain, down = sent(wire(), message)
    assert plain == {"w": 48, "r": 24} and down == {"w": 40}
    assert sent(wire(message_bits=8), message)[0] == {"w": 10 + 4 + 8, "r": 5 + 4 + 4}
    assert sent(wire(message_bits=4), message)[0] == {"w": 5 + 4 + 8, "r": 3 + 4 + 4}
    assert sent(wire(message_layout="fixed"), message)[0] == {"w": 48, "r": 48}
    secret, down = sent(wire(secure_aggregation=True), message)
    assert secret == {"w": ceil(11 * 33 / 8), "r": ceil(12 * 33 / 8), KEYS_AND_SHARES: key_bytes(2)} and down == {
        "w": 40
    }


def test_secure_aggregation_has_the_published_expansion():
    """1.73 times for 2^10 clients and 2^20 numbers, 1.98 times for 2^14 and 2^24, over 16 bits a number."""
    for clients, numbers, expansion in ((2**10, 2**20, 1.73), (2**14, 2**24, 1.98)):
        total = key_bytes(clients) + summed_bytes(numbers, clients, 16)
        assert total / (2 * numbers) == pytest.approx(expansion, abs=0.005)
    assert summed_bytes(8, 2, 32) == ceil(8 * ceil(log2(2 * (2**32 - 1) + 1)) / 8) == 33


def test_the_server_gets_what_travels():
    channel = Channel({0: 1}, ROUND, (), wire(message_clip=1.0))
    channel.up(0, {"x": torch.tensor([3.0, 4.0])})
    torch.testing.assert_close(channel.inbox().of("x")[0], torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dp_epsilon": "8"}, "^--dp-epsilon needs --message-clip: noise"),
        ({"dp_epsilon": "8", "message_clip": "1"}, "^--dp-epsilon needs --message-layout fixed"),
        ({"dp_epsilon": "-1", "message_clip": "1"}, "--dp-epsilon should be greater than 0, not '-1'"),
        ({"dp_epsilon": "nan"}, "--dp-epsilon should be"),
        ({"dp_delta": "2"}, "--dp-delta should be less than 1, not '2'"),
        ({"dp_noise": "central"}, "^--dp-noise and --dp-delta are of use with --dp-epsilon only"),
        ({"message_bits": "5"}, "^--message-bits is 8 or 4, not 5"),
        (
            {
                "message_bits": "8",
                "message_layout": "fixed",
                "message_clip": "1",
                "dp_epsilon": "8",
                "dp_noise": "central",
            },
            "^--message-bits with --dp-noise central rounds each share of the noise",
        ),
        (
            {"message_layout": "fixed", "message_clip": "1", "dp_epsilon": "8", "dp_delta": "0.1", "clients": "10"},
            "^--dp-delta should be below 1 / --clients, here 0.1, not 0.1",
        ),
        ({"message_clip": "0"}, "--message-clip should be greater than 0, not '0'"),
        (
            {"message_bits": "8", "secure_aggregation": "true"},
            "^--message-bits with --secure-aggregation needs --message-clip",
        ),
    ],
)
def test_what_does_not_fit_together_is_one_line(settings, words):
    with pytest.raises(RequestError, match=words) as error:
        federation_config(settings)
    assert "\n" not in str(error.value)


def test_settings_without_defences_are_as_they_were():
    assert not {"message_layout", "dp_delta", "dp_noise", "secure_aggregation"} & FederationConfig().model_dump().keys()
    assert not FederationConfig().defended and FederationConfig(message_bits=8).defended
