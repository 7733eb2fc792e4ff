"""The tables of docs/privacy.md, from crafted scores."""

import json

import numpy as np

from benchmark.privacy.tables import ATTACK, Tables
from benchmark.report.frame import read_experiment
from tools.docs import privacy

FLAGS = {"by_class": True, "own_rows_only": False, "counts": False, "buffers": False}
DIRECTION = {"bytes": {"rows": 88.0}, "numbers": 16.0, **FLAGS}
FACTS = {"private_share": 0.0, "silent": True, "architectures": 1, "sums_suffice": True}
SHEET = {"up": DIRECTION, "down": DIRECTION, **FACTS}


def scores(gain):
    """Members of one client, and records in a message, stand out by so many standard deviations; noise is chance."""
    tables = Tables()
    member, calibration = np.arange(90) < 30, np.arange(90) >= 60
    for kind in ("message", "noise"):
        score = np.random.default_rng(1).normal(size=90) + gain * member * (kind == "message")
        of, label = {"client": 0, "kind": kind}, np.zeros(90, int)
        place = {"round": 2, "level": "server"}
        tables.add("membership", **of, **place, label=label, member=member, calibration=calibration, score=score)
        tables.add("auditor", **of, label=label[:60], member=member[:60], score=score[:60])
    facts = {"sheet": SHEET, "seconds": 12.0, "rounds": [2], "candidates": 30, "attack": ATTACK}
    return {**tables.arrays(), "facts": np.array(json.dumps(facts))}


def keep(folder, arrays):
    np.savez(folder.path / "privacy.npz", **arrays)
    folder.finish({k: v for k, v in folder.read().items() if k not in ("schema", "digest")})


def test_without_audits_it_says_so(tmp_path, store):
    store(tmp_path, "one", [[6, 7]] * 2, experiment="privacy")
    stored = {"privacy": read_experiment(tmp_path, "privacy", {})}
    assert privacy.attacked(stored) == "No run has been audited yet."
    assert privacy.defended(stored) == "`results/privacy` does not have runs with noise and without yet."


def test_what_was_found_and_what_noise_takes(tmp_path, store):
    """65 % and 40 % with noise, of epsilon 8 in two rounds: sigma is sqrt(2) / 1.666 = 0.849, times 4 in 16 numbers.

    Of a record the areas are Phi(sqrt(2) 1.666) = 0.99 and Phi(1.666) = 0.95 at most.
    """
    keep(store(tmp_path, "one", [[6, 7]] * 2, experiment="privacy"), scores(9.0))
    store(tmp_path, "two", [[6, 7]] * 2, experiment="privacy")
    noise = {"message_layout": "fixed", "message_clip": 1.0, "dp_epsilon": 8.0}
    keep(store(tmp_path, "one", [[4, 4]] * 2, experiment="privacy", **noise), scores(0.0))
    keep(store(tmp_path, "breaks", [[6, 7]] * 2, experiment="privacy"), scores(9.0))
    store(tmp_path, "breaks", [[4, 4]] * 2, experiment="privacy", status="diverged", reason="loss is nan", **noise)
    keep(store(tmp_path, "one", [[3, 3]] * 3, experiment="privacy"), scores(9.0))  # of other rounds: without a pair
    stored = {"privacy": read_experiment(tmp_path, "privacy", {})}
    text = privacy.defended(stored)
    assert "noise: message layout fixed, message clip 1.0, dp epsilon 8.0" in text
    (row,) = (line for line in text.splitlines() if line.startswith("| one"))
    assert row.startswith("| one | 65.00 | 40.00 | 1.00") and row.endswith("| 0.95 | 3.4 |")
    assert row.count("| 0.99 | 1.00") == 1
    (row,) = (line for line in text.splitlines() if line.startswith("| breaks"))
    assert row.startswith("| breaks | 65.00 | diverged | 1.00") and row.endswith("| – | – | 1.00 | – | – | – |")
    found = privacy.attacked(stored)
    assert "| Method | Accuracy [%] | Sent [MB] | Member, one message |" in found
    assert found.count("| one | 65.00 |") == 1 and found.count("| one | 30.00 |") == 1 and "| 40.00 |" not in found
