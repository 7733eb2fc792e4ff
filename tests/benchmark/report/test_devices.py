"""`report --devices`: tables and figures of stored rounds on other devices."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmark.cli.commands import main
from benchmark.devices.profile import profile
from benchmark.report.device_figures import seconds_curve
from benchmark.report.device_part import device_data
from benchmark.report.devices import DeviceComparison, Seconds, other_orders, profile_table
from benchmark.report.frame import read_experiment
from benchmark.report.looks import Style

MB = 10**6


@pytest.fixture
def results(tmp_path, monkeypatch, store):
    """Two clients; rounds of 100 GFLOP (2 s on cable's device) and, but for standalone, 1 MB down, 0.5 MB up for each.

    fedmoe reaches 70 % in round 1, standalone in round 3 and fml never.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.report.write.PLOTS", [])
    costs = {"flops": 2 * 100 * 10**9, "sent": (MB, 2 * MB)}
    store(tmp_path / "results", "fedmoe", [[8, 8], [8, 8], [9, 9]], **costs)
    store(tmp_path / "results", "fml", [[5, 5], [6, 6], [6, 6]], **costs)
    store(tmp_path / "results", "standalone", [[5, 5], [6, 6], [7, 7]], **costs | {"sent": (0, 0)})
    return tmp_path / "results"


@pytest.fixture
def found(results):
    (comparison,) = read_experiment(results, "exp", {})
    return DeviceComparison(comparison, comparison.target)


CABLE_ROUND = 2 * 0.028 + 8 * MB / 5e6 + 8 * 0.5 * MB / 1e6
"""Seconds of one round's messages: 1.6 down, 4 up."""


def test_seconds_on_a_profile_by_hand(found):
    seconds = found.seconds(profile("cable"))
    assert seconds["fedmoe"].by_flops == pytest.approx(2 + CABLE_ROUND)
    assert seconds["standalone"].by_flops == pytest.approx(3 * 2)
    assert seconds["fml"] == (np.inf, np.inf)


def test_the_second_clock(found):
    """From 100 GFLOP/s: a client's 0.25 s are 0.5 s at 50 GFLOP/s, the server's 0.1 s are 0.01 s at 1 TFLOP/s."""
    seconds = found.seconds(profile("cable"))
    assert seconds["fedmoe"].by_seconds == pytest.approx(0.5 + 0.01 + CABLE_ROUND)
    assert seconds["standalone"].by_seconds == pytest.approx(3 * (0.5 + 0.01))


def test_an_order_is_robust_only_where_both_clocks_agree():
    seconds = {"a": Seconds(1, 5), "b": Seconds(2, 4), "c": Seconds(3, 6), "never": Seconds(np.inf, np.inf)}
    assert other_orders("a", seconds) == ["b"]
    assert other_orders("b", seconds) == ["a"]
    assert other_orders("c", seconds) == other_orders("never", seconds) == []


def test_a_table_says_who_has_not_reached_the_target(found):
    table = profile_table(found, profile("cable"))
    cells = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert cells["fedmoe"] == ["7.66", "6.17", "robust", "74"]
    assert cells["standalone"] == ["6", "1.53", "robust", "0"]
    assert cells["fml"] == ["not reached", "not reached", "–", "–"]
    assert "5 Mbit/s down, 1 Mbit/s up, 28 ms round trip, 50 GFLOP/s" in table.caption
    assert "WebPageTest" in table.caption


def test_no_second_clock_on_a_machine_of_unknown_speed(results):
    (comparison,) = read_experiment(results, "exp", {})
    (run,) = comparison.of("fedmoe")
    run.run["environment"]["matrix_product_flops_per_second"] = None
    table = profile_table(DeviceComparison(comparison, 70.0), profile("cable"))
    row = next(row for row in table.rows if row[0].text == "fedmoe")
    assert [cell.text for cell in row[1:4]] == ["7.66", "–", "–"]


def test_energy_where_a_profile_has_it(found, tmp_path):
    cable = profile("cable")
    sources = {**cable.sources, "joules_per_flop": "x", "joules_per_byte": "x"}
    charged = cable.model_copy(update={"joules_per_flop": 1e-9, "joules_per_byte": 1e-4, "sources": sources})
    table = profile_table(found, charged)
    energy = {row[0].text: row[-1].value for row in table.rows}
    assert energy["fedmoe"] == pytest.approx((200e9 * 1e-9 + 3 * MB * 1e-4) / 1e3)
    assert energy["standalone"] == pytest.approx(3 * 200e9 * 1e-9 / 1e3)


def test_curves_over_seconds(found):
    curve = seconds_curve(found.comparison, "standalone", profile("cable"))
    assert curve["seconds"].tolist() == pytest.approx([2, 4, 6])
    assert curve["accuracy"].tolist() == pytest.approx([50, 60, 70])


def test_the_whole_report(results, capsys):
    assert main(["report", "--devices", "cable,2g"]) == 0
    folder = results.parent / "reports" / "exp"
    tables = {path.stem.removeprefix("digits-"): pd.read_csv(path) for path in (folder / "tables").glob("*.csv")}
    assert tables["devices-2g"].set_index("Method").loc["fml", "Seconds to 70 %"] == "not reached"
    even = tables["break-even"].set_index("Method")
    # 2 + 2 * 0.028 + 5.6 / f = 6
    assert float(even.loc["fedmoe", "cable [Mbit/s]"]) == pytest.approx(5.6 / (6 - 2 - 0.056))
    # (3 - 1) * 200 GFLOP for 3 MB
    assert float(even.loc["fedmoe", "J per byte / J per FLOP"]) == pytest.approx(400e9 / 3e6)
    assert even.loc["fml", "cable [Mbit/s]"] == "not reached"
    order = tables["fleet-order"].set_index("Method")
    assert order.loc["standalone", "before fml"] == 1
    assert order.loc["fedmoe", "before standalone"] + order.loc["standalone", "before fedmoe"] == pytest.approx(1)
    assert tables["fleets"].set_index("Method").loc["fedmoe", "Reached [%]"] == 100
    drawn = {path.name for path in (folder / "figures").glob("*.png")}
    timed = {f"digits-{kind}-{name}.png" for kind in ("seconds", "fastest") for name in ("cable", "2g")}
    assert drawn == {"digits-differences.png", *timed}
    assert "Seconds in random fleets" in (folder / "report.md").read_text()


def test_methods_without_a_seed_in_common_are_in_no_random_fleets(results, store):
    for label, seed in (("fedmoe", 0), ("standalone", 1)):
        store(results, label, [[8, 8]], seed=seed, experiment="apart")
    assert main(["report", "--experiment", "apart", "--devices", "cable"]) == 0
    made = {path.stem for path in (results.parent / "reports" / "apart" / "tables").glob("*.csv")}
    assert "digits-devices-cable" in made
    assert not {"digits-fleets", "digits-fleet-order"} & made


def test_without_a_target_there_are_curves_alone(results, store):
    store(results, "standalone", [[7, 7]], target=None, experiment="aimless")
    assert main(["report", "--experiment", "aimless", "--devices", "cable"]) == 0
    folder = results.parent / "reports" / "aimless"
    assert [path.name for path in (folder / "figures").glob("*.png")] == ["digits-seconds-cable.png"]
    assert not [*folder.glob("tables/*-devices-*")]


def test_a_target_that_nobody_reaches(results):
    assert main(["report", "--devices", "cable", "--target", "99"]) == 0
    folder = results.parent / "reports" / "exp"
    for name, columns in (("devices-cable", ["Seconds to 99 %"]), ("fleets", ["Median seconds to 99 %"])):
        table = pd.read_csv(folder / "tables" / f"digits-{name}.csv")
        assert set(table[columns].to_numpy().ravel()) == {"not reached"}
    assert not (folder / "figures" / "digits-fastest-cable.png").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        ("nowhere", "unknown device 'nowhere'; there are: 2g"),
        ("cable,cable", "--devices cable,cable has two profiles of one name"),
        ("nowhere.toml", "there is no file nowhere.toml"),
    ],
)
def test_what_is_refused(results, capsys, words, message):
    assert main(["report", "--devices", words]) == 2
    assert f"error: {message}" in capsys.readouterr().err
    assert not (results.parent / "reports").exists()


def test_devices_are_listed(capsys):
    assert main(["list", "devices", "--json"]) == 0
    cable = next(entry for entry in json.loads(capsys.readouterr().out) if entry["name"] == "cable")
    assert cable["up"] == 1e6
    assert cable["sources"]["up"] == "WebPageTest, connectivity.ini.sample, Cable"


def test_what_the_page_computes_from(found):
    """The page's sliders begin at the profile, where seconds are those of the table."""
    data = device_data(found, profile("cable"), Style(["fedmoe", "fml", "standalone"]))
    by_label = {method["label"]: method["seeds"] for method in data["methods"]}
    assert by_label["fml"] == []
    for label, seconds in (("fedmoe", 2 + CABLE_ROUND), ("standalone", 6)):
        ((seed),) = by_label[label]
        fixed, flops, bits = seed["alone"]
        assert seed["rounds"] == []
        assert fixed + flops / data["profile"]["flops"] + bits / data["profile"]["up"] == pytest.approx(seconds)
