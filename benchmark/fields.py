"""Numbers with a range: hyper-parameters of methods, options of a federation, parameters of partitions."""

from typing import Annotated

from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A hyper-parameter above 0: a learning rate."""
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A hyper-parameter of at least 0: the weight of a loss term."""
UnitInterval = Annotated[float, Field(ge=0, le=1)]
"""A hyper-parameter in [0, 1]."""
PositiveInt = Annotated[int, Field(ge=1)]
"""A hyper-parameter of at least 1: a width, a number of epochs."""

# The earlier names of these four, kept for the plug-ins of users.
Rate, Weight, Fraction, Count = Positive, NonNegative, UnitInterval, PositiveInt
