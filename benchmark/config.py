"""The specification of a run, which determines its numbers: frozen, validated, hashable."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
)

from benchmark.errors import RequestError
from benchmark.fields import NonNegative, Positive


class FederationConfig(BaseModel):
    """The settings of a federation, the same for every method."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: Annotated[int, Field(ge=1, description="Number of clients N.")] = 10
    participation: Annotated[
        float, Field(gt=0, le=1, description="Share of the clients that takes part in a round, above 0, at most 1.")
    ] = 1.0
    rounds: Annotated[int, Field(ge=1, description="Rounds.")] = 100
    local_epochs: Annotated[int, Field(ge=1, description="Passes over the local data per round.")] = 1
    batch_size: Annotated[
        int, Field(ge=2, description="Samples per step, at least 2: batch normalisation needs two.")
    ] = 64
    lr: Annotated[Positive, Field(description="Learning rate of SGD.")] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, description="Momentum of SGD.")] = 0.0
    weight_decay: Annotated[NonNegative, Field(description="Weight decay of SGD.")] = 0.0
    eval_every: Annotated[int, Field(ge=1, description="Evaluate every so many rounds, and after the last.")] = 1
    validation: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Share of each client's training samples kept for validation; the headline "
            "is then the round that is best on them.",
        ),
    ] = 0.0
    augmentation: Annotated[
        Literal["none", "lab"],
        Field(description="lab: flip, erase and shift as in the code of FedMoE's authors."),
    ] = "none"
    precision: Annotated[
        Literal["fp32", "bf16"],
        Field(description="bf16: training steps under autocast; weights, messages and evaluation stay in fp32."),
    ] = "fp32"

    @model_serializer(mode="wrap")
    def _omit_default_precision(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out precision=fp32, so that the keys of older results stay valid."""
        content: dict[str, Any] = serialise(self)
        return {name: value for name, value in content.items() if (name, value) != ("precision", "fp32")}

    @property
    def participants(self) -> int:
        """Clients per round: participation x clients, rounded, at least one."""
        return max(1, round(self.participation * self.clients))


class MethodSpec(BaseModel):
    """A method by name, the label of this variant, all its hyper-parameters, and the hash of a user-defined file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    hyperparameters: dict[str, Any]
    source_hash: str | None = None


class RunSpec(BaseModel):
    """One run: the specification that run.json holds and that the key is the hash of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Annotated[str, StringConstraints(min_length=1)]
    data_hash: str
    method: MethodSpec
    partition: str
    models: str
    models_hash: str | None = None
    """Hash of the file that defines the line-up, if it is user-defined."""
    federation: FederationConfig
    seed: Annotated[int, Field(ge=0)]

    @property
    def key(self) -> str:
        """Hash of what determines the numbers: not of device, paths, or the label."""
        content = self.model_dump(mode="json", exclude={"method": {"label"}}, exclude_none=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def federation_config(values: dict[str, Any]) -> FederationConfig:
    """Validate the settings. Raises RequestError with one line that names option, value and what would be right."""
    try:
        return FederationConfig(**values)
    except ValidationError as error:
        raise request_error(error, lambda name: "--" + name.replace("_", "-")) from error


def request_error(error: ValidationError, spell: Any = str) -> RequestError:
    """Return the first complaint of a validation as one line; `spell` turns a field's name into what the user typed."""
    first = error.errors()[0]
    name = spell(str(first["loc"][0]) if first["loc"] else "value")
    if first["type"] == "missing":
        return RequestError(f"{name} has no default; give it a value")
    message = (
        first["msg"].removeprefix("Input ").partition(", unable to")[0].replace("a valid boolean", "true or false")
    )
    return RequestError(f"{name} {message}, not {first['input']!r}")
