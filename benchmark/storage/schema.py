"""The schema of stored results: files that do not fit it are refused. This module imports no torch.

run.json is a RunRecord; each line of rounds.jsonl is a Round.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, with_config
from typing_extensions import TypedDict  # Python 3.11's own lacks facts that pydantic needs

SCHEMA = 4
"""The schema that this version writes."""
BEFORE: dict[int, dict[str, Any]] = {2: {"prediction": None, "prediction_error": None}, 3: {}}
"""Earlier schemas that this version reads -> fields that their run.json lacks, with the values to assume."""

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Whole = Annotated[int, Field(ge=0, lt=10**24)]
Amount = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Text = Annotated[str, Field(max_length=10_000)]
Word = Annotated[str, Field(max_length=200_000)]
"""A word of a command line: thousands of seeds are one."""
FileName = Annotated[str, Field(pattern=r"^(rounds\.jsonl|[a-z][a-z0-9_-]{0,40}\.npz)$")]
"""rounds.jsonl, or an artefact of an observer."""
BytesByName = dict[Text, Whole]
Fact = str | int | float | bool | None
Environment = dict[Text, Fact | dict[Text, Fact]]
Status = Literal["running", "done", "failed", "diverged", "skipped"]
ENDED: tuple[Status, ...] = ("done", "diverged", "failed")
"""Statuses of a run that was executed and has ended."""
FINAL: tuple[Status, ...] = ("done", "diverged")
"""Statuses that a run would end in again. A run that failed may have lacked memory, and is tried again."""


def _only_hash(facts: object) -> object:
    """Return the facts of a file; schemas before 4 have its hash alone."""
    return {"bytes": None, "sha256": facts} if isinstance(facts, str) else facts


@with_config(STRICT)
class FileFacts(TypedDict):
    """Size and SHA-256 of a file that a run has written beside run.json."""

    bytes: Whole | None
    sha256: Text


@with_config(STRICT)
class Scores(TypedDict):
    """Correct predictions and samples, per client in the order of ids: [N] each."""

    correct: list[Whole]
    total: list[Annotated[int, Field(ge=1)]]


@with_config(STRICT)
class ClientRound(TypedDict):
    """The work of one participant in one round; seconds by purpose, bytes by name of what travelled."""

    id: Whole
    steps: Whole
    train_loss: float
    flops: Whole
    seconds: dict[Text, Amount]
    bytes_up: BytesByName
    bytes_down: BytesByName


@with_config(STRICT)
class Round(TypedDict):
    """One round; the scores are there if it was evaluated.

    post_finetune: after the next download and fine-tuning, whose cost is that of all clients
    predictors: name -> moment -> scores, of the predictors besides the headline one
    inspection: expert -> per client, class -> mean weight of its test samples, if it was requested
    observed: facts that observers added, by name
    """

    round: Annotated[int, Field(ge=1)]
    participants: list[Whole]
    train_loss: float
    bytes_up: Whole
    bytes_down: Whole
    client_flops: Whole
    client_seconds: Amount
    clients: list[ClientRound]
    server_flops: Whole
    server_seconds: Amount
    eval_seconds: Amount
    post_local: NotRequired[Scores]
    post_download: NotRequired[Scores]
    post_finetune: NotRequired[Scores]
    finetune_flops: NotRequired[Whole]
    finetune_seconds: NotRequired[Amount]
    validation: NotRequired[Scores]
    predictors: NotRequired[dict[Text, dict[Text, Scores]]]
    inspection: NotRequired[dict[Text, list[dict[Text, float]]]]
    observed: NotRequired[dict[Text, JsonValue]]


@with_config(ConfigDict(extra="allow", strict=True, allow_inf_nan=False))
class Summary(TypedDict, total=False):
    """A cache of facts that follow from the rounds: accuracies in percent, null if none was evaluated; totals of costs.

    Readers compute it anew. A summary may lack names that this version knows and have names that it does not know, so
    runs that an older or a newer version stored stay readable.
    """

    rounds_done: Whole
    headline: Text
    headline_rounds: Whole
    accuracy_mean: Percent | None
    accuracy_std_rounds: Amount | None
    accuracy_std_clients: Amount | None
    accuracy_worst_decile: Percent | None
    accuracy_weighted: Percent | None
    accuracy_oracle: Percent | None
    accuracy_mean_post_download: Percent | None
    accuracy_mean_by_predictor: dict[Text, Percent]
    bytes_up: Whole
    bytes_down: Whole
    bytes_by_name: dict[Text, BytesByName]
    client_flops: Whole
    server_flops: Whole
    client_seconds: Amount
    server_seconds: Amount
    eval_seconds: Amount
    gpu_seconds: Amount | None
    peak_memory_bytes: Whole | None


@with_config(STRICT)
class Prediction(TypedDict):
    """Predicted costs of a run, under the names of its summary; null if they can't be predicted.

    seconds: from its start to its end; varying: messages whose sizes depend on what is learned, so that bytes are an
    estimate
    """

    client_flops: Whole | None
    bytes_up: Whole | None
    bytes_down: Whole | None
    peak_memory_bytes: Whole | None
    client_seconds: Amount | None
    server_seconds: Amount | None
    eval_seconds: Amount | None
    seconds: Amount | None
    varying: list[Text]


@with_config(STRICT)
class Errors(TypedDict):
    """Errors of a prediction: (predicted - measured) / measured; null if either is missing or 0 was measured."""

    client_flops: float | None
    bytes_up: float | None
    bytes_down: float | None
    peak_memory_bytes: float | None
    client_seconds: float | None
    server_seconds: float | None
    eval_seconds: float | None
    seconds: float | None


@with_config(STRICT)
class DatasetFacts(TypedDict):
    """The data set of a run; class_names in the order of classes; target_accuracy in percent."""

    name: Text
    hash: Text
    classes: Whole
    class_names: NotRequired[list[Text]]
    samples: Whole
    target_accuracy: Percent | None


@with_config(STRICT)
class PartitionFacts(TypedDict):
    """The partition of a run: hash of all indices, and samples of each class at each client: [N][C]."""

    hash: Text
    counts: list[list[Whole]]


@with_config(STRICT)
class Resumed(TypedDict):
    """The resumption of an interrupted run: after how many rounds, when, and in which environment."""

    rounds_done: Whole
    started: Text
    environment: Environment


@with_config(STRICT)
class RunRecord(TypedDict):
    """One run.

    files: those that the run has written beside run.json, once it has ended
    audit: of the messages, by its name in benchmark.privacy.audit_size, null without; files of older versions lack it
    weights_hash: of all that server and clients hold at the end
    prediction: made before the first round, if requested; prediction_error: its errors, once the run is done
    digest: SHA-256 of everything else in this file
    """

    schema: Literal[2, 3, 4]
    status: Status
    reason: Text | None
    traceback: str | None
    key: Text
    specification: dict[Text, Any]
    dataset: DatasetFacts
    partition: PartitionFacts
    architectures: list[Text]
    environment: Environment
    command: list[Word]
    inspected: bool
    audit: NotRequired[Text | None]
    started: Text
    resumed: list[Resumed]
    finished: Text | None
    summary: Summary | None
    weights_hash: Text | None
    prediction: Prediction | None
    prediction_error: Errors | None
    files: dict[FileName, Annotated[FileFacts, BeforeValidator(_only_hash)]]
    digest: Text


RUN: TypeAdapter[RunRecord] = TypeAdapter(RunRecord)
ROUND: TypeAdapter[Round] = TypeAdapter(Round)
