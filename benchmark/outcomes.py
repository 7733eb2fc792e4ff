"""What became of runs, as rows of a table and as a document."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.runner import Outcome


def document(experiment: str, outcomes: Sequence["Outcome"]) -> dict[str, Any]:
    """The document that `run --json` prints."""
    runs = [
        {
            "dataset": o.spec.dataset,
            "method": o.spec.method.label,
            "key": o.spec.key,
            "status": o.status,
            "reason": o.reason,
            "path": str(o.path),
            "summary": o.summary,
        }
        for o in outcomes
    ]
    return {"experiment": experiment, "runs": runs}


def rows(outcomes: Sequence["Outcome"]) -> list[dict[str, str]]:
    """A row of the table at the end for every run."""

    def cell(o: "Outcome", name: str, scale: float, form: str) -> str:
        found = (o.summary or {}).get(name)
        return "–" if found is None or o.status != "done" else format(found / scale, form)

    return [
        {
            "data set": o.spec.dataset,
            "method": o.spec.method.label,
            "partition": o.spec.partition,
            "models": o.spec.models,
            "N": str(o.spec.federation.clients),
            "participation": f"{o.spec.federation.participation:g}",
            "seed": str(o.spec.seed),
            "accuracy %": cell(o, "accuracy_mean", 1, ".2f"),
            "up MB": cell(o, "bytes_up", 1e6, ".2f"),
            "down MB": cell(o, "bytes_down", 1e6, ".2f"),
            "TFLOP": cell(o, "client_flops", 1e12, ".3f"),
            "s": cell(o, "client_seconds", 1, ".1f"),
            "status": o.status,
        }
        for o in outcomes
    ]
