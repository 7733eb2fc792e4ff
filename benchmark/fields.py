"""Numbers with a range: hyper-parameters of methods, options of a federation, parameters of partitions."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A hyper-parameter above 0: a learning rate."""
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A hyper-parameter of at least 0: the weight of a loss term."""
UnitInterval = Annotated[float, Field(ge=0, le=1)]
"""A hyper-parameter in [0, 1]."""
PositiveInt = Annotated[int, Field(ge=1)]
"""A hyper-parameter of at least 1: a width, a number of epochs."""


class FollowsClient:
    """Marks a rate inside a method that is the clients' learning rate unless it is set."""


if TYPE_CHECKING:
    ClientRate = Any  # None in a method as it is written, a float in the method of a federation
else:
    ClientRate = Annotated[Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, FollowsClient()]
    """A rate above 0 inside a method; None: the learning rate of the clients, which a federation puts in its place."""

# The earlier names of these four, kept for the plug-ins of users.
Rate, Weight, Fraction, Count = Positive, NonNegative, UnitInterval, PositiveInt
