"""Which of two methods gives away more: crafted areas, paired by client and seed."""

import json

import numpy as np
import pytest

from benchmark.privacy.tables import ATTACK, Tables
from benchmark.report.audited import Audited
from benchmark.report.frame import read_experiment
from benchmark.report.privacy_contrasts import contrast_table, contrasts

SHEET = {"bytes": {}, "by_class": False, "own_rows_only": False, "counts": False, "numbers": 1.0, "buffers": False}
FACTS = {"private_share": 0.0, "silent": True, "architectures": 1, "sums_suffice": True, "up": SHEET, "down": SHEET}


def scores(found, clients=4, members=10, noise=0.5):
    """Of each client `found` of ten members stand above all ten others, the rest below: the area is found / 10.

    noise: the area of the control with noise
    """
    tables = Tables()
    for client, area in ((k, a) for k in range(clients) for a in (found, 10 * noise)):
        above = np.arange(members) < area + (client % 2 if area == found else 0)
        member = np.repeat([True, False, False], members)
        score = np.concatenate([np.where(above, 9.0, -9.0), *[np.linspace(-1, 1, members)] * 2])
        of = {"round": 1, "client": client, "level": "server", "kind": "message" if area == found else "noise"}
        calibration = np.repeat([False, False, True], members)
        label, judged = np.zeros(3 * members, int), ~calibration
        tables.add("membership", **of, label=label, member=member, calibration=calibration, score=score)
        of = {"client": client, "kind": of["kind"]}
        tables.add("auditor", **of, label=label[judged], member=member[judged], score=score[judged])
    facts = {"sheet": FACTS, "seconds": 1.0, "rounds": [1], "candidates": 10, "attack": ATTACK}
    return {**tables.arrays(), "facts": np.array(json.dumps(facts))}


@pytest.fixture
def audited(tmp_path, store):
    def of(**runs):
        for label, by_seed in runs.items():
            for seed, arrays in enumerate(by_seed):
                folder = store(tmp_path, label, [[6, 7]], seed=seed)
                np.savez(folder.path / "privacy.npz", **arrays)
                folder.finish({k: v for k, v in folder.read().items() if k not in ("schema", "digest")})
        (comparison,) = read_experiment(tmp_path, "exp", {})
        return comparison, [Audited(comparison, label) for label in sorted(runs)]

    return of


def test_areas_are_paired_by_client_and_seed(audited):
    """0.9 and 1.0 by turns, less 0.6 and 0.7 by turns: 0.3 for each of eight clients, whose signs agree by 2 / 2^8."""
    _, found = audited(little=[scores(6)] * 2, much=[scores(9)] * 2)
    (one,) = contrasts(found, "server")
    assert (one.more, one.less, one.test.n) == ("much", "little", 8)
    assert one.test.mean == pytest.approx(0.3)
    assert one.p == pytest.approx(2 / 2**8)


def test_all_pairs_share_the_correction_and_a_table_has_those_that_are_told_apart(audited):
    comparison, found = audited(a=[scores(6)] * 2, b=[scores(6)] * 2, c=[scores(9)] * 2)
    table = contrast_table(comparison, found)
    assert [[cell.text for cell in row[:4]] for row in table.rows] == [
        ["server", "c", "a", "0.30"],
        ["server", "c", "b", "0.30"],
        ["auditor", "c", "a", "0.30"],
        ["auditor", "c", "b", "0.30"],
    ]
    assert "server: 2 of 3 pairs told apart" in table.notes


def test_a_table_says_so_where_no_pair_is_told_apart(audited):
    comparison, found = audited(a=[scores(6)] * 2, b=[scores(6)] * 2)
    table = contrast_table(comparison, found)
    assert [[cell.text for cell in row[:3]] for row in table.rows] == [
        [who, "no one", "–"] for who in ("server", "auditor")
    ]
    assert table.notes == ["server: 0 of 1 pair told apart", "auditor: 0 of 1 pair told apart"]


def test_who_has_a_control_that_fails_is_not_compared(audited):
    _, found = audited(a=[scores(6)], b=[scores(9, noise=1.0)])
    assert contrasts(found, "server") == []


def test_other_records_are_not_compared(audited):
    _, found = audited(a=[scores(6)], b=[scores(9, members=11)])
    assert contrasts(found, "server") == []
