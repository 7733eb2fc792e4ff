"""Numbers with a range: hyper-parameters of methods, options of a federation, parameters of partitions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A hyper-parameter above 0: a learning rate."""
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A hyper-parameter of at least 0: the weight of a loss term."""
UnitInterval = Annotated[float, Field(ge=0, le=1)]
"""A hyper-parameter in [0, 1]."""
PositiveInt = Annotated[int, Field(ge=1)]
"""A hyper-parameter of at least 1: a width, a number of epochs."""


@dataclass(frozen=True)
class Before:
    """Marks a field that came later; a method with this value is what it was before, and keeps the keys of its runs."""

    value: Any


Collect = Annotated[Literal["during", "after"], Before("after")]
"""When statistics are taken: in the last pass of training, while weights move, or in a pass of their own after it."""
ClientWeights = Annotated[Literal["samples", "uniform"], Before("samples")]
"""What a client weighs in a mean: its number of training samples, or the same as every other participant."""
OwnEpochs = Annotated[Annotated[int, Field(ge=1)] | None, Before(None)]
"""Passes over the local data in place of the federation's local epochs; None: those."""
WarmUp = Annotated[int, Field(ge=0), Before(0)]
"""First rounds in which a method trains less than later on."""


class FollowsClient:
    """Marks a rate inside a method that is the clients' learning rate unless it is set."""


if TYPE_CHECKING:
    ClientRate = Any  # None in a method as it is written, a float in the method of a federation
else:
    ClientRate = Annotated[Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, FollowsClient()]
    """A rate above 0 inside a method; None: the learning rate of the clients, which a federation puts in its place."""

# The earlier names of these four, kept for the plug-ins of users.
Rate, Weight, Fraction, Count = Positive, NonNegative, UnitInterval, PositiveInt
