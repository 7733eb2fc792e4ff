"""Spaces and the trials in them, worked out by hand from the types of fields."""

from dataclasses import dataclass, fields
from typing import Annotated, Literal

import numpy as np
import pytest

from benchmark.fields import (
    Around,
    ClientRate,
    Fixed,
    FollowsClient,
    NonNegative,
    Positive,
    PositiveInt,
    SampleShare,
    Search,
    UnitInterval,
)
from benchmark.plugins import registry
from benchmark.storage.names import LONGEST_NAME
from benchmark.tuning.space import LEARNING_RATE, Dimension, dimensions, trials

METHODS = sorted(registry.catalogue("methods"))


@dataclass(frozen=True)
class Example:
    """One field of every kind."""

    rate: Positive = 0.5
    weight: NonNegative = 2.0
    off: NonNegative = 0.0
    mix: UnitInterval = 0.3
    share: SampleShare = 0.1
    width: PositiveInt = 10
    few: PositiveInt = 2
    inner: ClientRate = None
    narrow: Annotated[PositiveInt, Search(16, 256)] = 64
    energy: Annotated[UnitInterval, Search(0.8, 1, log=False)] = 0.9
    still: Annotated[PositiveInt, Fixed()] = 64
    kind: Literal["a", "b"] = "a"
    on: bool = True
    epochs: PositiveInt | None = None
    plain: float = 1.0


def test_the_space_follows_from_the_types():
    """Ten times around a rate or a weight, four times around a count, all of an interval; the rest are variants."""
    assert dimensions(Example()) == {
        "rate": (0.05, 5.0, True, False, False),
        "weight": (0.2, 20.0, True, False, False),
        "mix": (0, 1, False, False, False),
        "share": (0.02, 0.5, True, False, False),
        "width": (3, 40, True, True, False),  # 2.5 is no integer
        "few": (1, 8, True, True, False),  # nor is a half at least 1
        "inner": LEARNING_RATE,
        "narrow": (16, 256, True, True, False),
        "energy": (0.8, 1, False, False, False),
    }


def test_what_is_given_stays():
    assert "rate" not in dimensions(Example(), given=["rate"])
    assert dimensions(Example(weight=30.0))["weight"] == (3.0, 300.0, True, False, False)


@pytest.mark.parametrize(
    "dimension, share, value",
    [
        (Dimension(0.001, 0.1), 0.0, 0.001),
        (Dimension(0.001, 0.1), 0.5, 0.01),
        (Dimension(0.001, 0.1), 0.75, 0.0316),  # 10 ** -1.5
        (Dimension(0, 1, log=False), 0.25, 0.25),
        (Dimension(0, 1, log=False), 0.123456, 0.123),
        (Dimension(1, 4, whole=True), 0.0, 1),
        (Dimension(1, 4, whole=True), 0.43, 1),  # 5 ** 0.43 = 1.998
        (Dimension(1, 4, whole=True), 0.431, 2),  # 5 ** 0.431 = 2.001
        (Dimension(1, 4, whole=True), 0.999, 4),
        (Dimension(128, 2048, whole=True), 0.9999, 2048),  # and not 2050, its three digits
        (Dimension(0, 3, log=False, whole=True), 0.74, 2),
        (LEARNING_RATE, 0.5, 0.2),
        (LEARNING_RATE, 1.0, 2.0),
    ],
)
def test_values_by_hand(dimension, share, value):
    """The rate is 0.2, of which those that follow it are factors."""
    found = dimension.at(share, rate=0.2)
    assert found == value
    assert isinstance(found, int) == dimension.whole


def test_the_first_trial_is_the_default_and_the_others_are_these():
    """The sequence is the same on every machine, or else trials that are stored would not be found again."""
    assert [settings.get("lr") for settings in trials(object_of("fml"), (), 0.05, 8)] == [
        *(None, "0.13", "0.013", "0.411", "0.0411", "0.073", "0.0073", "0.231")
    ]
    assert trials(object_of("fml"), (), 0.05, 3)[1:] == [
        {"lr": "0.13", "alpha": "0.469", "beta": "0.471"},
        {"lr": "0.013", "alpha": "0.802", "beta": "0.671"},
    ]


def object_of(name):
    return registry.method(name)[0]


def test_more_trials_begin_with_those_of_fewer():
    assert trials(object_of("fedtgp"), (), 0.01, 16)[:5] == trials(object_of("fedtgp"), (), 0.01, 5)


def test_every_method_has_the_same_rates():
    """They halve the range, then its halves, so that eight trials have one rate in each seventh but one or so."""
    rates = {name: [settings.get("lr") for settings in trials(object_of(name), (), 0.01, 16)] for name in METHODS}
    assert len({tuple(of_one) for of_one in rates.values()}) == 1
    found = np.log10([float(rate) for rate in rates["fml"][1:]])
    assert len({*np.floor((found + 3) / 2 * 8).tolist()}) == 8  # no eighth of the range from 0.001 to 0.1 is empty


def test_a_rate_of_its_own_stays_and_is_what_others_follow():
    settings = trials(object_of("fedgh"), ["lr"], 0.3, 20)
    assert not any("lr" in of_trial for of_trial in settings)
    assert all(0.03 <= float(of_trial["server_lr"]) <= 3 for of_trial in settings[1:])


def test_rates_that_follow_the_client_are_factors_of_the_trials_rate():
    for settings in trials(object_of("fedmoe"), (), 0.01, 30)[1:]:
        assert 0.099 < float(settings["gate_lr"]) / float(settings["lr"]) < 10.1


def test_a_method_without_anything_to_search_has_its_default_only():
    assert trials(object_of("standalone"), ["lr"], 0.01, 4) == [{}] * 4


@pytest.mark.parametrize("name", METHODS)
def test_each_trial_of_each_method_is_one_that_run_takes(name):
    """It is in its field's range, and its label can name a folder."""
    for settings in trials(object_of(name), (), 0.00123, 65):
        text = "+".join([name, *(f"{key}={value}" for key, value in settings.items())])
        method, spec = registry.method(text)
        assert len(spec.label) <= LONGEST_NAME
        shares = [getattr(method, f.name) for f in fields(method) if f.name in ("quiz", "adaptability")]
        assert all(0 < share < 1 for share in shares)  # none or all of the samples leaves nothing to learn on


def test_marks_are_of_fields_that_plug_ins_import():
    for mark in (Search(1, 2), Around(3), Fixed(), FollowsClient()):
        assert type(mark).__module__ == "benchmark.fields"


@pytest.mark.parametrize("wrong", [(2, 1), (1, 1), (0, 1), (float("nan"), 1)])
def test_a_range_without_values_is_an_error_where_it_is_written(wrong):
    with pytest.raises(ValueError, match="has no values; low is below high, and above 0 unless log=False"):
        Search(*wrong)
