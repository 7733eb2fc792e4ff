"""Numbers with a range: hyper-parameters of methods, options of a federation, parameters of partitions.

A range says which values are allowed, and which of them `tune` tries of a method's hyper-parameter.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field


@dataclass(frozen=True)
class Search:
    """Marks the values of a field that `tune` tries: from low to high, their logarithm being uniform, or they are."""

    low: float
    high: float
    log: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError if there is nothing between low and high."""
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"{self} has no values; low is below high, and above 0 unless log=False")


@dataclass(frozen=True)
class Around:
    """Marks a field of which `tune` tries values up to so many times below and above its default, log-uniform."""

    factor: float


class Fixed:
    """Marks a field that `tune` leaves as it is."""


# Of several such marks the last one counts, so a method narrows a type's: Annotated[PositiveInt, Search(16, 256)].
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), Around(10)]
"""A hyper-parameter above 0: a learning rate."""
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), Around(10)]
"""A hyper-parameter of at least 0: the weight of a loss term."""
UnitInterval = Annotated[float, Field(ge=0, le=1), Search(0, 1, log=False)]
"""A hyper-parameter in [0, 1]."""
SampleShare = Annotated[UnitInterval, Search(0.02, 0.5)]
"""A hyper-parameter in [0, 1], the share of a client's samples that one of two things is learned on."""
MOST = 1_000_000
"""The largest count: of rounds, epochs, steps, clients, or of a network's width."""
PositiveInt = Annotated[int, Field(ge=1, le=MOST), Around(4)]
"""A hyper-parameter of at least 1: a width, a number of epochs."""


@dataclass(frozen=True)
class Before:
    """Marks a field that came later; a method with this value is what it was before, and keeps the keys of its runs."""

    value: Any


Collect = Annotated[Literal["during", "after"], Before("after")]
"""When statistics are taken: in the last pass of training, while weights move, or in a pass of their own after it."""
ClientWeights = Annotated[Literal["samples", "uniform"], Before("samples")]
"""What a client weighs in a mean: its number of training samples, or the same as every other participant."""
OwnEpochs = Annotated[Annotated[int, Field(ge=1, le=MOST)] | None, Before(None)]
"""Passes over the local data in place of the federation's local epochs; None: those."""
WarmUp = Annotated[int, Field(ge=0, le=MOST), Before(0)]
"""First rounds in which a method trains less than later on."""


class FollowsClient:
    """Marks a rate inside a method that is the clients' learning rate unless it is set.

    `tune` tries values up to ten times below and above the clients' rate of the trial.
    """


if TYPE_CHECKING:
    ClientRate = Any  # None in a method as it is written, a float in the method of a federation
else:
    ClientRate = Annotated[Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, FollowsClient()]
    """A rate above 0 inside a method; None: the learning rate of the clients, which a federation puts in its place."""

# The earlier names of these four, kept for the plug-ins of users.
Rate, Weight, Fraction, Count = Positive, NonNegative, UnitInterval, PositiveInt
