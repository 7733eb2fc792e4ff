"""The record of a run in progress: run.json, a line per round, artefacts, and the peak of memory."""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from benchmark.errors import RequestError
from benchmark.forecast.prediction import errors
from benchmark.measure.memory import PeakMemory
from benchmark.run.plan import now, seconds_between
from benchmark.storage.checkpoint import Manifest
from benchmark.storage.run_folder import RunFolder, line_of, record_of
from benchmark.storage.schema import Prediction, Round
from benchmark.storage.summary import summarise

OF_THIS_ATTEMPT = ("status", "reason", "traceback", "finished", "summary", "files", "prediction_error", "inspected")
"""Facts that a resumed run takes from its new attempt; all others stay as they were when it began."""


class RunLog:
    """Stores the record of a run; raises StorageError if that is not possible.

    facts: the content of run.json: as if the run began anew at first, then changed as facts become known
    """

    def __init__(self, folder: RunFolder, facts: Mapping[str, Any], device: torch.device) -> None:
        self._folder, self._device = folder, device
        self.facts = dict(facts)
        self._packed: list[bytes] = []  # lines of rounds: as dicts they would take thirty times the memory
        self._begun = False
        self._written = hashlib.sha256()
        self._peak = 0
        self._memory: PeakMemory | None = None

    @property
    def rounds_done(self) -> int:
        """Return how many rounds are done."""
        return len(self._packed)

    @property
    def rounds(self) -> list[Round]:
        """Return the rounds that are done."""
        return [json.loads(zlib.decompress(line)) for line in self._packed]

    def begin(self) -> None:
        """Begin anew: remove the files of an earlier attempt."""
        self._folder.start(self.facts)
        self._begun = True

    def resume(self, before: Mapping[str, Any], manifest: Manifest) -> bool:
        """Resume after a checkpoint of an earlier attempt, with its run.json; False if its rounds are damaged."""
        here = {name: self.facts[name] for name in ("started", "environment")}
        resumed = [*before["resumed"], here | {"rounds_done": manifest["rounds_done"]}]
        facts = {**before, **{name: self.facts[name] for name in OF_THIS_ATTEMPT}, "resumed": resumed}
        with suppress(RequestError):
            self._keep(self._folder.go_on(facts, manifest["rounds_done"], manifest["record"]))
            self.facts, self._begun = facts, True
            self._written = hashlib.sha256(self._folder.rounds_file.read_bytes())
            self._peak = manifest["peak_memory_bytes"] or 0
        return self._begun

    def take_up(self, before: Mapping[str, Any], peak: int | None) -> None:
        """Continue the record of an attempt whose process died, with all of its rounds that are whole."""
        self._keep(self._folder.go_on(before))
        self.facts, self._begun = dict(before), True
        self._written = hashlib.sha256(self._folder.rounds_file.read_bytes())
        self._peak = peak or 0

    def predict(self, prediction: Prediction) -> None:
        """Store a prediction that was made before the first round; the time that it took is not the run's."""
        self.facts |= {"prediction": prediction, "started": now()}
        self._folder.write(self.facts)

    def watch_memory(self) -> None:
        """Measure the peak of memory from here on."""
        self._memory = PeakMemory(self._device)

    @property
    def peak(self) -> int | None:
        """Return the most bytes of memory that were in use, None if that is not known."""
        self._peak = max(self._peak, (self._memory.bytes if self._memory else None) or 0)
        return self._peak or None

    def add(self, record: Round) -> None:
        """Store a round; it is on the disk when this returns."""
        self._folder.append(record)
        self._written.update(line_of(record))
        self._keep([record])

    def _keep(self, records: Iterable[Round]) -> None:
        self._packed += (zlib.compress(line_of(record), level=1) for record in records)

    @property
    def record(self) -> str:
        """Return the hash that binds a checkpoint to what this run has stored by now."""
        return record_of(self.facts, self._written.hexdigest())

    def keep(self, artefacts: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Store artefacts by name."""
        for name, arrays in artefacts.items():
            self._folder.keep(name, arrays)

    def finish(
        self,
        status: str,
        reason: str | None = None,
        traceback: str | None = None,
        weights_hash: str | None = None,
        **environment: Any,
    ) -> Mapping[str, Any]:
        """Store how the run ended; return its summary. environment: facts of it that became known during the run"""
        if not self._begun:
            self.begin()
        peak, rounds = self.peak, self.rounds  # the peak first: rounds in full take memory
        self._folder.mend(rounds, self._written.hexdigest())
        summary = self._summary(rounds, peak)
        self.facts |= {"status": status, "reason": reason, "traceback": traceback, "weights_hash": weights_hash}
        begun = [self.facts["started"], *(again["started"] for again in self.facts["resumed"])]
        self.facts |= {"finished": max(now(), *begun), "summary": summary}  # the clock may have been set back
        self.facts["environment"] = self.facts["environment"] | environment
        if status == "done":
            self.facts["prediction_error"] = self._prediction_error(summary)
        self._folder.finish(self.facts)
        return summary

    def _summary(self, rounds: list[Round], peak: int | None) -> dict[str, Any]:
        summary = summarise(rounds)
        busy = summary["client_seconds"] + summary["server_seconds"]
        return summary | {
            "gpu_seconds": busy if self._device.type == "cuda" else None,
            "peak_memory_bytes": peak,
        }

    def _prediction_error(self, summary: Mapping[str, Any]) -> Any:
        """Return the errors of the prediction; that of seconds only if the run was not interrupted."""
        passed = seconds_between(self.facts["started"], self.facts["finished"])
        return errors(self.facts["prediction"], {**summary, "seconds": None if self.facts["resumed"] else passed})
