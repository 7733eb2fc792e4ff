"""Privacy in a report: crafted scores of which one knows what tables have to say."""

import json
from itertools import product

import numpy as np
import pytest

from benchmark.errors import RequestError
from benchmark.privacy.tables import ATTACK, Tables
from benchmark.report.audited import Audited, audited_of
from benchmark.report.frame import read_experiment
from benchmark.report.looks import Style
from benchmark.report.privacy import privacy_table, write_privacy
from benchmark.report.privacy_sheet import sheet_table
from benchmark.report.write import ReportOptions, write_report

SHEET = {
    "up": {
        "bytes": {"rows": 88.0},
        "by_class": True,
        "own_rows_only": True,
        "counts": False,
        "numbers": 100.0,
        "buffers": False,
    },
    "down": {
        "bytes": {"rows": 440.0},
        "by_class": True,
        "own_rows_only": False,
        "counts": False,
        "numbers": 100.0,
        "buffers": False,
    },
    "private_share": 0.25,
    "silent": True,
    "architectures": 5,
    "sums_suffice": False,
}
LABEL = np.repeat([0, 1], 60)
MEMBER = np.tile(np.arange(60) < 20, 2)
CALIBRATION = np.tile(np.arange(60) >= 40, 2)


def membership(tables, level, kind, gain, round=3, seed=0):
    """20 members, 20 others and 20 that set the scale in each of two classes, at three clients."""
    for client in range(3):
        rng = np.random.default_rng([seed, client, round, *level.encode(), *kind.encode()])
        score = rng.normal(size=120) + gain * MEMBER + 5.0 * LABEL
        of = {"round": round, "client": client, "level": level, "kind": kind}
        tables.add("membership", **of, label=LABEL, member=MEMBER, calibration=CALIBRATION, score=score)


def auditor(tables, kind, gain):
    """20 records in the message and 20 that are not, in each of two classes, at three clients."""
    for client in range(3):
        rng = np.random.default_rng([client, *kind.encode()])
        label, member = np.repeat([0, 1], 40), np.tile(np.arange(40) < 20, 2)
        tables.add(
            "auditor",
            client=client,
            kind=kind,
            label=label,
            member=member,
            score=rng.normal(size=80) + gain * member + 5.0 * label,
        )


def scores(gain=3.0, known_noise=1.0, sheet=SHEET, state_alone=0.0):
    """Arrays as an audit leaves them: members are found, all controls hold unless `known_noise` says too much."""
    tables = Tables()
    for t in (1, 3):
        membership(tables, "server", "message", 0.0, round=t)
    for kind in ("noise", "another client"):
        membership(tables, "server", kind, 0.0)
        auditor(tables, kind, 0.0)
    auditor(tables, "message", gain)
    auditor(tables, "state alone", state_alone)
    controls = {"clear": 9.0, "known noise": known_noise, "pixel means": 1.0, "pixel means, not whitened": 0.5}
    for kind, of in (controls | {"labels alone": 0.0, "pictures alone": 0.0, "released": 2.0}).items():
        membership(tables, "control", kind, of)
    for level, kind, client in product(("auditor", "server"), ("message", "noise", "clear"), range(3)):
        rank, gained = (50, 0.0) if kind == "noise" else (0, 1.0)
        of = {"client": client, "level": level, "kind": kind, "candidates": 100}
        tables.add("identity", **of, label=np.arange(2), rank=[rank, 7], gain=[gained, gained])
    facts = {"sheet": sheet, "seconds": 12.0, "rounds": [1, 3], "candidates": 40, "attack": ATTACK}
    return {**tables.arrays(), "facts": np.array(json.dumps(facts))}


def keep(folder, arrays, cut=False):
    """Leave the scores in a run's folder, as the run would."""
    np.savez(folder.path / "privacy.npz", **arrays)
    if cut:
        (folder.path / "privacy.npz").write_bytes(b"no archive")
    folder.finish({k: v for k, v in folder.read().items() if k not in ("schema", "digest")})


def audited(tmp_path, store, **of_labels):
    for label, arrays in of_labels.items():
        keep(store(tmp_path, label, [[6, 7, 8]] * 3), arrays)
    (comparison,) = read_experiment(tmp_path, "exp", {})
    return comparison, [Audited(comparison, label) for label in sorted(of_labels)]


def cells(table, label, *titles):
    (row,) = (row for row in table.rows if row[0].text == label)
    return [row[[column.title for column in table.columns].index(title)] for title in titles]


def test_the_table_has_areas_with_intervals_of_a_server_and_of_an_auditor(tmp_path, store):
    """The auditor's gain is 3 deviations: Phi(3 / sqrt(2)) = 0.983, classes apart by 5 notwithstanding."""
    comparison, found = audited(tmp_path, store, one=scores())
    table = privacy_table(comparison, found)
    one, series, share = cells(table, "one", "Member, one message", "Member, series", "Found at 1 %")
    known, released = cells(table, "one", "Auditor", "If released")
    assert 0.35 < one.value < 0.65 and 0.35 < series.value < 0.65 and share.value < 0.2
    assert known.value == pytest.approx(0.983, abs=0.02) and "[" in known.text
    assert 0.8 < released.value < 1


def test_noise_is_told_with_what_no_attack_can_exceed(tmp_path, store):
    """At epsilon 8 mu is 1.666 over three rounds, 0.962 in one: Phi(mu / sqrt(2)), for a record of twice as much."""
    noise = {"message_layout": "fixed", "message_clip": 1.0, "dp_epsilon": 8.0}
    keep(store(tmp_path, "one", [[6, 7, 8]] * 3, **noise), scores())
    (comparison,) = read_experiment(tmp_path, "exp", {})
    caption = privacy_table(comparison, [Audited(comparison, "one")]).caption
    assert "(8, 1e-05)-differential privacy of a client, whose neighbour has zeros" in caption
    assert "with an area above 0.75, or all of them with one above 0.88;" in caption
    assert "so of a record the areas are 0.91 and 0.99 at most." in caption


def test_who_sends_nothing_has_no_zero(tmp_path, store):
    nothing = {
        "facts": np.array(
            json.dumps({"sheet": None, "seconds": 0.1, "rounds": [1, 3], "candidates": 40, "attack": ATTACK})
        )
    }
    comparison, found = audited(tmp_path, store, alone=nothing, one=scores())
    member, known = cells(privacy_table(comparison, found), "alone", "Member, one message", "Auditor")
    assert member.text == known.text == "sends nothing" and member.value is None
    (up,) = cells(sheet_table(comparison, found), "alone", "Up")
    assert up.text == "sends nothing"


def test_a_column_with_a_control_that_fails_is_invalid_and_says_why(tmp_path, store):
    """Noise of mu 1 leaves an area of Phi(1 / sqrt(2)) = 0.76 at most; 0.98 is beyond any chance."""
    comparison, found = audited(tmp_path, store, one=scores(known_noise=3.0))
    (cell,) = cells(privacy_table(comparison, found), "one", "Member, one message")
    assert "invalid" in cell.text and cell.value is None and "noise of mu 1 reads" in cell.note
    (picture,) = cells(privacy_table(comparison, found), "one", "Picture, first of 100")
    assert picture.value is not None


def test_tables_and_figures_are_written(tmp_path, store):
    comparison, _ = audited(tmp_path, store, one=scores(), two=scores(gain=0.5))
    folder = tmp_path / "out"
    for part in ("tables", "figures"):
        (folder / part).mkdir(parents=True)
    part = write_privacy(comparison, Style(["one", "two"]), ["a command"], folder)
    names = ["privacy", "privacy-contrasts", "privacy-sheet", "privacy-controls"]
    assert [table.name for _, table in part.tables] == names
    assert [drawn.stem for drawn in part.figures] == ["digits-privacy", "digits-privacy-rounds"]
    text = (folder / "tables" / "digits-privacy.md").read_text()
    assert "At chance an attack fails; that does not make a method private" in text
    assert write_privacy(comparison, Style(["one", "two"]), [], folder).tables  # the same again


def test_a_report_without_audits_has_no_privacy(tmp_path, store):
    store(tmp_path / "results", "one", [[6, 7, 8]] * 3)
    (page,) = write_report(tmp_path / "results", tmp_path / "reports", [], ReportOptions())
    assert not [*(page.parent / "tables").glob("*privacy*")]


@pytest.mark.parametrize("damage", ["kinds", "lengths", "widths", "nan", "facts", "sheet", "bytes"])
def test_a_damaged_file_is_one_line(tmp_path, store, damage):
    arrays = scores()
    if damage == "kinds":
        arrays["membership.score"] = arrays["membership.score"].astype("U8")
    if damage == "lengths":
        arrays["identity.rank"] = arrays["identity.rank"][:1]
    if damage == "widths":
        arrays["identity.gain"] = arrays["identity.gain"][:, None]
    if damage == "nan":
        arrays["membership.score"][3] = np.nan
    if damage == "sheet":
        arrays = scores(sheet={"up": {}})
    if damage == "facts":
        arrays["facts"] = np.array("{")
    keep(store(tmp_path, "one", [[6, 7, 8]]), arrays, cut=damage == "bytes")
    with pytest.raises(RequestError, match=r"privacy.npz is damaged; remove its folder and run again"):
        read_experiment(tmp_path, "exp", {})


def test_a_rate_at_one_in_a_thousand_needs_ten_thousand_others(tmp_path, store):
    """Three clients with 4,000 others each that are judged; members are 9 deviations above them."""
    member = np.repeat([True, False], [50, 8000])
    tables = Tables()
    for client in range(3):
        score = np.random.default_rng(client).normal(size=8050) + 9.0 * member
        of = {"round": 3, "client": client, "level": "server", "kind": "message", "label": np.zeros(8050, int)}
        calibration = ~member & (np.arange(8050) % 2 == 0)
        tables.add("membership", **of, member=member, calibration=calibration, score=score)
    membership(tables, "server", "noise", 0.0)
    facts = {"sheet": SHEET, "seconds": 12.0, "rounds": [3], "candidates": 40, "attack": ATTACK}
    many = {**tables.arrays(), "facts": np.array(json.dumps(facts))}
    comparison, found = audited(tmp_path, store, few=scores(), many=many)
    table = privacy_table(comparison, found)
    assert cells(table, "many", "Found at 0.1 %")[0].value == 1
    assert cells(table, "few", "Found at 0.1 %")[0].value is None


def test_an_auditor_that_is_told_by_the_state_alone_says_nothing_and_others_stand(tmp_path, store):
    comparison, found = audited(tmp_path, store, one=scores(state_alone=3.0))
    known, one = cells(privacy_table(comparison, found), "one", "Auditor", "Member, one message")
    assert known.text.startswith("invalid") and "state alone reads" in known.note
    assert one.value is not None


def of_version(arrays, version):
    facts = json.loads(str(arrays["facts"])) | {"attack": version}
    return arrays | {"facts": np.array(json.dumps(facts))}


def test_an_audit_of_the_first_version_is_left_out(tmp_path, store):
    comparison, _ = audited(tmp_path, store, one=of_version(scores(), 1), two=scores())
    assert [of.label for of in audited_of(comparison)] == ["two"]


def second_version(*levels):
    """Membership at these levels, of gain 3 and 0 by turns, and pictures."""
    tables = Tables()
    for level, gain in zip(levels, (3.0, 0.0), strict=False):
        membership(tables, level, "message", gain, round=1)
        membership(tables, level, "noise", 0.0, round=1)
    tables.add("identity", client=0, level=levels[0], kind="message", candidates=100, label=0, rank=0, gain=1.0)
    facts = {"sheet": SHEET, "seconds": 12.0, "rounds": [1], "candidates": 40, "attack": 2}
    return {**tables.arrays(), "facts": np.array(json.dumps(facts))}


def test_of_the_second_version_a_servers_look_for_members_is_read_alone(tmp_path, store):
    """The auditor's there is of what state had learned by heart; where nothing was private it is the server's."""
    arrays = {"private": second_version("server", "auditor"), "open": second_version("auditor")}
    comparison, found = audited(tmp_path, store, **arrays, today=scores())
    table = privacy_table(comparison, found)
    for label in arrays:
        member, known, picture = cells(table, label, "Member, one message", "Auditor", "Picture, first of 100")
        assert member.value > 0.9
        assert known.value is None and picture.value is None
    assert "Of 2 runs only members by a server and copies are shown." in table.caption


def test_classes_by_rules_have_columns_where_a_rule_was_read_and_fall_with_noise_alone(tmp_path, store):
    """Ten clients with two of four classes: the bias tells both, the rows one of each; noise tells all to the rows."""
    tables = Tables()
    truth = np.tile([0.5, 0.5, 0, 0], (10, 1))
    one, other, all_of_them = [1, -1, -1, -1], [1, -1, 1, -1], [1, 1, -1, -1]
    read = {"message": one, "noise": other, "clear": all_of_them, "bias sign": all_of_them, "row sums": one}
    for kind, presence in (read | {"bias sign, noise": other, "row sums, noise": all_of_them}).items():
        of = {"client": np.arange(10), "kind": kind, "architecture": 0, "architecture_guess": 0, "architectures": 1}
        tables.add(
            "labels",
            **of,
            truth=truth,
            presence=np.tile(presence, (10, 1)) / 1.0,
            expected=0 * truth,
            shares=truth,
            prior=truth,
        )
    comparison, found = audited(tmp_path, store, one=scores() | tables.arrays(), two=scores())
    table = privacy_table(comparison, found)
    classes, bias, rows = cells(table, "one", "Classes", "Classes by bias sign", "Classes by row sums")
    assert (classes.value, bias.value, rows.value) == (0.75, 1.0, None)
    assert rows.text.startswith("invalid (0.75") and "noise reads 1.000" in rows.note
    assert cells(table, "two", "Classes by bias sign")[0].value is None
    assert "Classes by bias sign" not in [of.title for of in privacy_table(comparison, found[1:]).columns]
