"""Croissant metadata (mlcommons.org/croissant) of the committed results, and the two tables that it describes.

    python -m tools.docs.croissant            writes results/runs.csv, rounds.csv and croissant.json anew, in seconds
    python -m tools.docs.croissant --check    writes nothing; exit code 1 if one of them is out of date

The tables hold what run.json and rounds.jsonl say of each run and round in all; these files are in the metadata, too,
with their hashes. Committed are the folders of results that .gitignore excepts.
"""

import csv
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmark import __version__
from benchmark.storage.moments import MOMENTS
from benchmark.storage.run_folder import RunFolder, run_folders
from benchmark.storage.summary import accuracies, summary_of
from benchmark.storage.verify import read_checked

CHECKOUT = Path(__file__).parents[2]
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""As Croissant 1.0 gives it."""


class TableColumn(NamedTuple):
    """A column of a table: its name, its type and what it is."""

    name: str
    type: str
    text: str


RUN_COLUMNS = (
    TableColumn("key", "sc:Text", "hash of what determines the run's numbers"),
    TableColumn("path", "sc:Text", "the run's folder"),
    TableColumn("dataset", "sc:Text", "the data set"),
    TableColumn("partition", "sc:Text", "which client holds which samples"),
    TableColumn("models", "sc:Text", "the clients' networks"),
    TableColumn("method", "sc:Text", "the method with its hyper-parameters"),
    TableColumn("seed", "sc:Integer", "the seed"),
    TableColumn("status", "sc:Text", "done, or why there is no result"),
    TableColumn("rounds", "sc:Integer", "rounds done"),
    TableColumn("accuracy_mean", "sc:Float", "the headline in percent: mean over clients after local training"),
    TableColumn("bytes_up", "sc:Integer", "bytes from clients to the server, all rounds"),
    TableColumn("bytes_down", "sc:Integer", "bytes from the server to clients, all rounds"),
    TableColumn("client_flops", "sc:Integer", "FLOPs of all clients, all rounds"),
    TableColumn("server_flops", "sc:Integer", "FLOPs of the server, all rounds"),
    TableColumn("weights_hash", "sc:Text", "hash of all weights at the end"),
)
ROUND_COLUMNS = (
    TableColumn("key", "sc:Text", "the run's key"),
    TableColumn("round", "sc:Integer", "the round, counted from 1"),
    *(
        TableColumn(moment.stored, "sc:Float", f"mean accuracy over clients in percent, {moment.words}")
        for moment in MOMENTS
    ),
    TableColumn("train_loss", "sc:Float", "mean training loss of the participants"),
    TableColumn("bytes_up", "sc:Integer", "bytes from participants to the server"),
    TableColumn("bytes_down", "sc:Integer", "bytes from the server to participants"),
    TableColumn("client_flops", "sc:Integer", "FLOPs of the participants"),
    TableColumn("server_flops", "sc:Integer", "FLOPs of the server"),
    TableColumn("client_seconds", "sc:Float", "seconds of the participants, where the run was made"),
    TableColumn("server_seconds", "sc:Float", "seconds of the server, where the run was made"),
)
TABLES = {"runs": RUN_COLUMNS, "rounds": ROUND_COLUMNS}


def outputs(root: Path) -> dict[Path, str]:
    """Return file -> text of the tables and the metadata of a checkout's results."""
    results = root / "results"
    kept = re.findall(r"^!/results/([\w-]+)/$", (root / ".gitignore").read_text(encoding="utf-8"), re.MULTILINE)
    folders = list(run_folders(results, [name for name in sorted(kept) if (results / name).is_dir()]))
    rows = {"runs": [*_run_rows(results, folders)], "rounds": [*_round_rows(folders)]}
    texts = {name: _csv(columns, rows[name]) for name, columns in TABLES.items()}
    described = json.dumps(metadata(results, folders, texts), indent=1, ensure_ascii=False) + "\n"
    return {results / f"{name}.csv": text for name, text in texts.items()} | {results / "croissant.json": described}


def _run_rows(results: Path, folders: Sequence[RunFolder]) -> Iterator[dict[str, Any]]:
    for folder in folders:
        run, rounds = (checked := read_checked(folder)).run, checked.rounds
        summary, spec = summary_of(run, rounds), run["specification"]
        yield {
            **{name: summary.get(name) for name in ("accuracy_mean", "bytes_up", "bytes_down")},
            **{name: summary.get(name) for name in ("client_flops", "server_flops")},
            **{name: spec[name] for name in ("dataset", "partition", "models", "seed")},
            **{name: run[name] for name in ("key", "status", "weights_hash")},
            "method": spec["method"]["label"],
            "path": folder.path.relative_to(results).as_posix(),
            "rounds": len(rounds),
        }


def _round_rows(folders: Sequence[RunFolder]) -> Iterator[dict[str, Any]]:
    names = [column.name for column in ROUND_COLUMNS]
    for folder in folders:
        checked = read_checked(folder)
        for record in checked.rounds:
            scores = {
                moment.stored: float(np.mean(accuracies([record], moment.stored)))
                for moment in MOMENTS
                if moment.stored in record
            }
            facts = {name: record[name] for name in names if name in record}  # type: ignore[literal-required]
            yield {"key": checked.run["key"], **facts, **scores}


def _csv(columns: Sequence[TableColumn], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [column.name for column in columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def metadata(results: Path, folders: Sequence[RunFolder], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata: the tables, and each run's own files. texts: of the tables, by name."""
    runs = [read_checked(folder).run for folder in folders]
    stored = [folder.path / name for folder in folders for name in ("run.json", "rounds.jsonl")]
    who = "The contributors of mhpfl-benchmark"
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "mhpfl-benchmark-results",
        "description": (
            "Runs of methods for model-heterogeneous personalised federated learning under equal conditions: accuracy, "
            "bytes and FLOPs of each run and round. The files rounds.jsonl have every participant's bytes by name, its "
            "FLOPs and seconds, and every client's correct predictions."
        ),
        "license": "https://www.apache.org/licenses/LICENSE-2.0",
        "version": __version__,
        "citeAs": f"{who}: A benchmark for model-heterogeneous personalised federated learning.",
        "creator": {"@type": "sc:Organization", "name": who},
        "datePublished": max((run["finished"] or run["started"])[:10] for run in runs) if runs else None,
        "isLiveDataset": False,
        "distribution": [
            *(_file(f"{name}.csv", "text/csv", text.encode()) for name, text in texts.items()),
            *(
                _file(file.relative_to(results).as_posix(), ENCODINGS[file.suffix], file.read_bytes())
                for file in stored
            ),
        ],
        "recordSet": [_record_set(name, columns) for name, columns in TABLES.items()],
    }


ENCODINGS = {".json": "application/json", ".jsonl": "application/jsonlines"}


def _file(path: str, kind: str, content: bytes) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{len(content)} B",
        "encodingFormat": kind,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _record_set(name: str, columns: Sequence[TableColumn]) -> dict[str, Any]:
    """Return the records of a table. The key of a run is that of runs.csv alone."""
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{column.name}",
            "name": column.name,
            "description": column.text,
            "dataType": column.type,
            "source": {"fileObject": {"@id": f"{name}.csv"}, "extract": {"column": column.name}},
        }
        for column in columns
    ]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def main(only_check: bool) -> int:
    """Write what has changed, or say it; return the exit code."""
    changed = {file: text for file, text in outputs(CHECKOUT).items() if not file.exists() or file.read_text() != text}
    for file, text in changed.items():
        print(f"{'out of date' if only_check else 'written'}: {file.relative_to(CHECKOUT)}")
        if not only_check:
            file.write_text(text, encoding="utf-8")
    return int(only_check and bool(changed))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
