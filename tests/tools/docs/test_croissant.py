"""The metadata of the committed results: current, and valid where mlcroissant is there to say so."""

import csv
import hashlib
import io
import json
from pathlib import Path

import pytest

from tools.docs import croissant

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "results"


def test_what_is_committed_is_current():
    """`python -m tools.docs.croissant` makes it so."""
    changed = [file.name for file, text in croissant.outputs(ROOT).items() if file.read_text(encoding="utf-8") != text]
    assert changed == []


@pytest.fixture
def checkout(tmp_path, store):
    (tmp_path / ".gitignore").write_text("/results/*\n!/results/README.md\n!/results/kept/\n")
    store(tmp_path / "results", "fml", [[5, 7], [8, 8]], experiment="kept")
    store(tmp_path / "results", "fml", [[5, 7]], experiment="ignored")
    return tmp_path


def test_tables_by_hand(checkout):
    texts = {file.name: text for file, text in croissant.outputs(checkout).items()}
    (run,) = csv.DictReader(io.StringIO(texts["runs.csv"]))
    assert (run["method"], run["dataset"], run["seed"], run["rounds"]) == ("fml", "digits", "0", "2")
    assert (run["accuracy_mean"], run["bytes_up"], run["client_flops"]) == ("80.0", str(2 * 10**6), str(4 * 10**12))
    first, second = csv.DictReader(io.StringIO(texts["rounds.csv"]))
    assert (first["post_local"], second["post_local"], first["post_finetune"]) == ("60.0", "80.0", "")
    assert first["key"] == run["key"]


def test_the_metadata_names_every_file_with_its_hash(checkout):
    texts = croissant.outputs(checkout)
    described = json.loads(texts.pop(checkout / "results" / "croissant.json"))
    for file, text in texts.items():
        file.write_text(text)
    named = {entry["contentUrl"]: entry["sha256"] for entry in described["distribution"]}
    assert len(named) == 2 + 2
    for path, digest in named.items():
        assert hashlib.sha256((checkout / "results" / path).read_bytes()).hexdigest() == digest
    assert "kept/" in "".join(named)
    assert "ignored/" not in "".join(named)
    columns = {field["source"]["extract"]["column"] for records in described["recordSet"] for field in records["field"]}
    assert {"key", "post_local", "accuracy_mean"} <= columns


def test_check_writes_nothing(checkout, monkeypatch, capsys):
    monkeypatch.setattr(croissant, "CHECKOUT", checkout)
    assert croissant.main(only_check=True) == 1
    assert "out of date: results/runs.csv" in capsys.readouterr().out
    assert croissant.main(only_check=False) == 0
    assert croissant.main(only_check=True) == 0


def test_mlcroissant_reads_it():
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=str(RESULTS / "croissant.json"))
    assert not dataset.metadata.issues.errors
    runs = list(dataset.records("runs"))
    assert len(runs) == len(list(csv.DictReader((RESULTS / "runs.csv").open())))
