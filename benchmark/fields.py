"""Numbers with a range: hyper-parameters of methods, options of a federation, parameters of partitions."""

from typing import Annotated

from pydantic import Field

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A hyper-parameter above 0: a learning rate."""
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A hyper-parameter of at least 0: the weight of a loss term."""
Fraction = Annotated[float, Field(ge=0, le=1)]
"""A hyper-parameter in [0, 1]."""
Count = Annotated[int, Field(ge=1)]
"""A hyper-parameter of at least 1: a width, a number of epochs."""
