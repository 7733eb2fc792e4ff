"""The specification of a run, which determines its numbers: frozen, validated, hashable."""

import hashlib
import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
    model_validator,
)

from benchmark.errors import RequestError, as_option
from benchmark.fields import MOST, NonNegative, Positive, PositiveInt

SEEDS = 2**63
"""A seed that is asked for is below it."""


class TrainingConfig(BaseModel):
    """How a client trains: settings of the federation, each of which a method may replace by one of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lr: Annotated[Positive, Field(description="Learning rate of the clients.")] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, description="Momentum of SGD.")] = 0.0
    weight_decay: Annotated[NonNegative, Field(description="Weight decay.")] = 0.0
    optimizer: Annotated[
        Literal["sgd", "adam"], Field(description="sgd or adam; new for every client, round and phase.")
    ] = "sgd"
    clip_norm: Annotated[
        Positive | None, Field(description="Largest norm of a step's gradient over all parts that it trains.")
    ] = None
    lr_decay: Annotated[
        float, Field(gt=0, le=1, description="Factor of all clients' rates from one round to the next, at most 1.")
    ] = 1.0

    @model_validator(mode="after")
    def _momentum_is_of_sgd(self) -> Self:
        if self.optimizer == "adam" and self.momentum:
            raise ValueError("`momentum` is of sgd; leave it out with adam")
        return self


class FederationConfig(TrainingConfig):
    """The settings of a federation, the same for every method that does not train by its own."""

    clients: Annotated[int, Field(ge=1, le=MOST, description="Number of clients N.")] = 10
    participation: Annotated[
        float, Field(gt=0, le=1, description="Share of the clients that takes part in a round, above 0, at most 1.")
    ] = 1.0
    rounds: Annotated[int, Field(ge=1, le=MOST, description="Rounds.")] = 100
    local_epochs: Annotated[int, Field(ge=1, le=MOST, description="Passes over the local data per round.")] = 1
    local_steps: Annotated[
        PositiveInt | None, Field(description="Steps per round, for clients of any size, in place of passes.")
    ] = None
    batch_size: Annotated[
        int, Field(ge=2, le=MOST, description="Samples per step, at least 2: batch normalisation needs two.")
    ] = 64
    initial: Annotated[
        Literal["own", "shared"],
        Field(description="Initial weights of clients of one architecture: each its own, or the same for all of them."),
    ] = "own"
    eval_every: Annotated[
        int, Field(ge=1, le=MOST, description="Evaluate every so many rounds, and after the last.")
    ] = 1
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
    finetune: Annotated[
        int,
        Field(
            ge=0,
            le=MOST,
            description="Passes over the local data after a download and before a further evaluation, by every client, "
            "on a copy; their cost is counted apart.",
        ),
    ] = 0
    precision: Annotated[
        Literal["fp32", "tf32", "bf16"],
        Field(
            description="Of training steps. tf32: products on a GPU's tensor cores; bf16: networks under autocast. "
            "Weights, messages and evaluation stay in fp32."
        ),
    ] = "fp32"

    message_layout: Annotated[
        Literal["own", "fixed"],
        Field(description="Rows of an upload: those of a client's own classes, or always all, absent ones filled."),
    ] = "own"
    message_clip: Annotated[
        Positive | None,
        Field(description="Largest norm of what an upload adds to the broadcast, over all its numbers."),
    ] = None
    dp_epsilon: Annotated[
        Positive | None, Field(description="Noise that hides a client up to this epsilon over all rounds.")
    ] = None
    dp_delta: Annotated[float, Field(gt=0, lt=1, description="The delta beside it, above 0 and below 1.")] = 1e-5
    dp_noise: Annotated[
        Literal["local", "central"],
        Field(description="Who is not trusted: local, the server; central, those who see sums and what follows."),
    ] = "local"
    message_bits: Annotated[int | None, Field(description="Bits of each number of an upload, 8 or 4.")] = None
    secure_aggregation: Annotated[bool, Field(description="Let the server see sums of uploads alone.")] = False

    @model_validator(mode="after")
    def _defences_fit_together(self) -> Self:
        if self.message_bits not in (None, 8, 4):
            raise ValueError(f"`message_bits` is 8 or 4, not {self.message_bits}")
        if self.dp_epsilon is None and (self.dp_noise, self.dp_delta) != ("local", 1e-5):
            raise ValueError("`dp_noise` and `dp_delta` are of use with `dp_epsilon` only; add that, or leave them out")
        if self.dp_epsilon is not None and self.message_clip is None:
            raise ValueError("`dp_epsilon` needs `message_clip`: noise is in proportion to the largest norm")
        if self.dp_epsilon is not None and self.message_layout != "fixed":
            raise ValueError("`dp_epsilon` needs `message_layout` fixed: noise does not hide which rows are there")
        if self.dp_epsilon is not None and self.dp_delta >= 1 / self.clients:
            raise ValueError(
                f"`dp_delta` should be below 1 / `clients`, here {1 / self.clients:.3g}, not {self.dp_delta:g}"
            )
        if self.message_bits and self.dp_epsilon is not None and self.dp_noise == "central":
            raise ValueError("`message_bits` with `dp_noise` central rounds each share of the noise; leave one out")
        if self.message_bits and self.secure_aggregation and self.message_clip is None:
            raise ValueError("`message_bits` with `secure_aggregation` needs `message_clip`: a sum has one scale")
        return self

    @property
    def defended(self) -> bool:
        """Whether anything is done to uploads on their way."""
        fields = type(self).model_fields
        return any(getattr(self, name) != fields[name].default for name in DEFENCES)

    @property
    def sums_alone(self) -> bool:
        """Whether a single upload is shown to nobody: the server, or who attacks it, sees sums."""
        return self.secure_aggregation or (self.dp_epsilon is not None and self.dp_noise == "central")

    @model_validator(mode="after")
    def _steps_or_epochs(self) -> Self:
        if self.local_steps is not None and self.local_epochs != 1:
            raise ValueError("`local_steps` stands in place of `local_epochs`; give one of them")
        return self

    @model_serializer(mode="wrap")
    def _omit_later_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out settings that came later in their defaults, so that the keys of older results stay valid."""
        content: dict[str, Any] = serialise(self)
        fields = type(self).model_fields
        return {k: v for k, v in content.items() if k not in LATER or v != fields[k].default}

    @property
    def participants(self) -> int:
        """Clients per round: participation x clients, rounded, at least one."""
        return max(1, round(self.participation * self.clients))


DEFENCES = (
    *("message_layout", "message_clip", "dp_epsilon", "dp_delta", "dp_noise", "message_bits", "secure_aggregation"),
)
"""Settings that change uploads on their way."""
LATER = ("precision", "optimizer", "clip_norm", "lr_decay", "local_steps", "initial", "finetune", *DEFENCES)
"""Settings that results of the first versions lack."""


class MethodSpec(BaseModel):
    """A method by name, the label of this variant, all its hyper-parameters, and the hash of a user-defined file.

    training: its own settings in place of the federation's
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    hyperparameters: dict[str, Any]
    source_hash: str | None = None
    training: dict[str, Any] | None = None


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
    def config(self) -> FederationConfig:
        """The settings that the method trains by: the federation's, and its own in place of some."""
        return federation_config(self.federation.model_dump(), self.method.training)

    @property
    def key(self) -> str:
        """Hash of what determines the numbers: not of device, paths, or the label."""
        content = self.model_dump(mode="json", exclude={"method": {"label"}}, exclude_none=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def federation_config(values: dict[str, Any], own: dict[str, Any] | None = None) -> FederationConfig:
    """Validate the settings, with a method's own in place of some.

    Raises RequestError with one line that names option, value and what would be right.
    """
    try:
        return FederationConfig(**values | (own or {}))
    except ValidationError as error:
        raise request_error(error, as_option) from error


def request_error(error: ValidationError, spell: Any = str) -> RequestError:
    """Return the first complaint of a validation as one line; `spell` turns a field's name into what the user typed."""
    first = error.errors()[0]
    if first["type"] == "value_error":  # of several fields together, which it names in backquotes
        said = first["msg"].removeprefix("Value error, ")
        return RequestError(re.sub(r"`(\w+)`", lambda name: spell(name[1]), said))
    name = spell(str(first["loc"][0]) if first["loc"] else "value")
    if first["type"] == "missing":
        return RequestError(f"{name} has no default; give it a value")
    message = (
        first["msg"].removeprefix("Input ").partition(", unable to")[0].replace("a valid boolean", "true or false")
    )
    return RequestError(f"{name} {message}, not {first['input']!r}")
