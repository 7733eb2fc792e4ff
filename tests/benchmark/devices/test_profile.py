"""Profiles: those that have names, one's own, and what is refused in one line."""

import pytest

from benchmark.devices.profile import known_profiles, profile
from benchmark.errors import RequestError


def test_every_number_of_every_profile_has_a_source():
    for name in known_profiles():
        found = profile(name)
        assert found.sources.keys() == {"down", "up", "round_trip", "flops", "server_flops"}
        assert found.name == name


def test_the_links_are_those_of_their_sources():
    """Mbit/s down and up, ms, from WebPageTest and Lighthouse."""
    links = {
        "fios": (20, 5, 4),
        "cable": (5, 1, 28),
        "dsl": (1.5, 0.384, 50),
        "3g": (1.6, 0.768, 300),
        "slow-3g": (0.78, 0.33, 200),
        "edge": (0.24, 0.2, 840),
        "2g": (0.035, 0.032, 1300),
        "slow-4g": (1.6, 0.75, 150),
    }
    for name, numbers in links.items():
        found = profile(name)
        assert (found.down / 1e6, found.up / 1e6, 1e3 * found.round_trip) == pytest.approx(numbers)


def test_phones_are_as_far_apart_as_in_their_source():
    """1,642 and 179 ms a batch: 9.2 to 1; a batch of ten has 10 * 6 * 17.2 MFLOP."""
    fast, slow = (profile(f"{name}-phone").flops for name in ("fast", "slow"))
    assert fast / slow == pytest.approx(1642 / 179, rel=0.01)
    assert slow == pytest.approx(10 * 6 * 17.2e6 / 1.642, rel=0.01)


def test_ones_own(written):
    found = profile(str(written))
    assert (found.name, found.up, found.joules_per_byte) == ("mine", 1e6, 1e-6)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("up = 1e6", "up = 0", "up: Input should be greater than 0"),
        ("up = 1e6", "up = inf", "up: Input should be a finite number"),
        ("up = 1e6\n", "", "up: Field required"),
        ("up = 1e6", "up = 1e6\nuplink = 1", "uplink: Extra inputs are not permitted"),
        ('down = "a"\n', "", "[sources] has a line for each number and for nothing else; see to down"),
        ("joules_per_flop = 1e-10\n", "", "see to joules_per_flop"),
        ("up = 1e6", "up =", "can't be read as TOML"),
        ("up = 1e6", 'up = 1e6\nname = "x"', "name is the file's"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(written, old, new, message):
    written.write_text(written.read_text().replace(old, new, 1))
    with pytest.raises(RequestError) as error:
        profile(str(written))
    assert message in str(error.value)
    assert str(written) in str(error.value)
    assert "\n" not in str(error.value)


def test_one_kind_of_energy_needs_the_other(written):
    text = written.read_text()
    written.write_text(text.replace("joules_per_flop = 1e-10\n", "").replace('joules_per_flop = "a"\n', ""))
    with pytest.raises(RequestError, match="go together; give both or neither"):
        profile(str(written))


def test_an_unknown_name_and_a_file_that_is_not_there():
    with pytest.raises(RequestError, match="unknown device 'cabel'; did you mean 'cable'"):
        profile("cabel")
    with pytest.raises(RequestError, match=r"there is no file nowhere\.toml; name a profile"):
        profile("nowhere.toml")
