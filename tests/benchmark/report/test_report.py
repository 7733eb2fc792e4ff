"""Tables against numbers worked out by hand, and against stored ones, on results written by hand."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmark.cli.arguments import budgets_of
from benchmark.cli.commands import main
from benchmark.errors import RequestError, telling
from benchmark.report import write
from benchmark.report.across import varying
from benchmark.report.costs import budget_table, cost_table
from benchmark.report.differences import difference_tables
from benchmark.report.figures import PLOTS, write_figures
from benchmark.report.formats import as_markdown, commands, write_table
from benchmark.report.frame import names_of, read_experiment, told_apart
from benchmark.report.latex import as_latex
from benchmark.report.looks import Style
from benchmark.report.notes import footnotes
from benchmark.report.stored_run import StoredRun
from benchmark.report.tables import accuracy_table, main_table
from benchmark.report.write import ReportOptions, write_report
from benchmark.storage.run_folder import RunFolder, run_folders
from benchmark.storage.verify import verify

EXPECTED = Path(__file__).parent / "expected"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def results(tmp_path, store):
    """Mean accuracy of a: 50, 70, 85; of standalone: 40, 50, 60, never at the target of 70."""
    store(tmp_path, "a", [(4, 6), (7, 7), (8, 9)])
    store(tmp_path, "standalone", [(4, 4), (5, 5), (6, 6)], sent=(0, 0), flops=10**12)
    return tmp_path


@pytest.fixture
def seeds(results, store):
    """And with two seeds more, a: 50, 60, 95 and 50, 60, 75; standalone: 70 throughout and 65 at last."""
    store(results, "a", [(4, 6), (7, 5), (9, 10)], seed=1)
    store(results, "a", [(4, 6), (7, 5), (7, 8)], seed=2)
    store(results, "standalone", [(7, 7)] * 3, seed=1, sent=(0, 0), flops=10**12)
    store(results, "standalone", [(5, 5), (6, 6), (6, 7)], seed=2, sent=(0, 0), flops=10**12)
    return results


@pytest.fixture
def without_figures(monkeypatch):
    """They are most of a report's time."""
    monkeypatch.setattr(write, "PLOTS", {})
    monkeypatch.setattr(write, "write_forest", lambda *_: [])


def comparison(results, **targets):
    (found,) = read_experiment(results, "exp", targets)
    return found


def texts(table):
    """Row name -> column -> text, of methods."""
    return {row[0].text: {c.title: cell.text for c, cell in zip(table.columns, row, strict=True)} for row in table.rows}


ACCURACY = "Accuracy after local training [%]"
DOWNLOADED = "Accuracy after the next download [%]"


def level(*correct, rounds=45):
    """A curve that does not move, long enough to say so with one seed."""
    return [correct] * rounds


def test_the_main_table_by_hand(results):
    got = texts(main_table(comparison(results), "standalone"))
    assert list(got) == ["a", "standalone"]
    assert got["a"] == {
        "Method": "a",
        ACCURACY: "85.00",
        DOWNLOADED: "85.00",
        "SD over rounds": "–",
        "Rounds averaged": "one round",
        "n": "1",
        "SD over clients": "7.07",
        "Worst tenth": "80.00",
        "Sent [MB]": "6",
        "Computed [TFLOP]": "6",
        "Server [TFLOP]": "0",
        "Training [s]": "1.50",
        "Server [s]": "0.300",
        "Peak memory [MiB]": "3",
    }
    assert got["standalone"]["Sent [MB]"] == "0"


def test_intervals_over_seeds_by_hand(seeds):
    """85, 95, 75: mean 85, s = 10, t(0.975, 2) = 4.3027, half-width 4.3027 x 10 / sqrt(3) = 24.84."""
    table = main_table(comparison(seeds), "standalone")
    assert texts(table)["a"][ACCURACY] == texts(table)["a"][DOWNLOADED] == "85.00 ± 24.84"
    assert texts(table)["a"]["n"] == "3"
    assert "± is half the 95 % interval over seeds" in table.caption
    assert "one seed, so no interval" not in table.caption


def test_the_main_table_says_how_many_rounds_an_accuracy_is_a_mean_of(tmp_path, store):
    """Means 40, 50, 60, 70, 80 in five rounds, whose SD is 15.81; then validation chooses the fourth."""
    store(tmp_path, "a", [(t, t) for t in (4, 5, 6, 7, 8)])
    found = comparison(tmp_path)
    got = texts(main_table(found, "standalone"))["a"]
    assert (got[ACCURACY], got["SD over rounds"], got["Rounds averaged"]) == ("60.00", "15.81", "5")

    (folder,) = run_folders(tmp_path)
    rounds = [
        r | {"validation": {"correct": [v], "total": [10]}}
        for r, v in zip(folder.rounds(), (1, 2, 3, 9, 5), strict=True)
    ]
    chosen = replace(found, runs=[StoredRun.of(folder.read(), rounds)])
    got = texts(main_table(chosen, "standalone"))["a"]
    assert (got[ACCURACY], got["SD over rounds"], got["Rounds averaged"]) == ("70.00", "–", "one round, by validation")


def test_with_one_seed_there_is_no_interval(results):
    table = main_table(comparison(results), "standalone")
    assert "one seed, so no interval" in table.caption
    assert "±" not in json.dumps(texts(table), ensure_ascii=False)
    assert texts(difference_tables(comparison(results), "standalone")[0])["a"]["p"] == "–"


def test_differences_by_hand(seeds):
    """25, 25, 10 points: mean 20, s = 8.660, standard error 5, t = 4 with 2 degrees of freedom, p = 0.0572.

    Clients: 20 30 | 20 30 | 10 10, all better: described and not tested.
    """
    local, download = difference_tables(comparison(seeds), "standalone")
    assert (local.name, download.name) == ("differences", "differences-download")
    got = texts(local)["a"]
    assert got["Difference"] == "+20.00"
    assert got["95 % interval"] == "[-1.51, +41.51]"
    assert (got["p"], got["Seeds"]) == ("0.057", "3")
    shares = [got[title] for title in ("Clients better [%]", "Equal [%]", "Worse [%]")]
    assert (got["Median of clients"], *shares, got["Pairs"]) == ("+20.00", "100", "0", "0", "6")
    assert not [column.title for column in local.columns if "p over" in column.title]


def test_what_is_over_clients_is_described(results, store):
    """80 and 60 against 60 and 60, in one seed: half of them better, half equal."""
    store(results, "b", [(1, 1), (1, 1), (8, 6)])
    got = texts(difference_tables(comparison(results), "standalone")[0])["b"]
    shares = [got[title] for title in ("Clients better [%]", "Equal [%]", "Worse [%]")]
    assert (got["Median of clients"], *shares) == ("+10.00", "50", "50", "0")


def test_a_mark_is_of_seeds_that_agree_and_p_values_are_corrected(seeds, store):
    """b is 25, 25 and 30 above standalone: t = 16, p = 0.0039, twice that; a's p of 0.0572 is alone behind it."""
    for seed, last in enumerate([(8, 9), (9, 10), (9, 10)]):
        store(seeds, "b", [(4, 6), (7, 5), last], seed=seed)
    got = texts(difference_tables(comparison(seeds), "standalone")[0])
    assert {label: row["p"] for label, row in got.items()} == {"a": "0.057", "b": "0.008"}
    assert (got["a"]["Difference"], got["b"]["Difference"]) == ("+20.00", "+26.67 †")
    assert texts(main_table(comparison(seeds), "standalone"))["b"][ACCURACY].endswith("†")


def test_another_reference_or_none(seeds):
    assert list(texts(difference_tables(comparison(seeds), "a")[0])) == ["standalone"]
    assert texts(difference_tables(comparison(seeds), "a")[0])["standalone"]["Difference"] == "-20.00"
    assert difference_tables(comparison(seeds), "nobody") == []


def test_the_cost_of_the_target_by_hand(results):
    got = texts(cost_table(comparison(results)))
    assert got["a"] == {
        "Method": "a",
        "Rounds to 70 %": "2",
        "MB to 70 %": "4",
        "TFLOP to 70 %": "4",
        "s to 70 %": "1",
    }
    assert got["standalone"]["Rounds to 70 %"] == got["standalone"]["MB to 70 %"] == "not reached"
    assert "MB to 55 %" in texts(cost_table(comparison(results, **{"": 55})))["a"]
    assert texts(cost_table(comparison(results, **{"": 55, "digits": 60})))["standalone"]["Rounds to 60 %"] == "3"


def test_a_target_that_some_seeds_reach(seeds):
    """a is there in rounds 2, 3 and 3."""
    got = texts(cost_table(comparison(seeds)))
    assert got["a"]["Rounds to 70 %"] == "2.67"
    assert got["standalone"]["Rounds to 70 %"] == "reached by 1 of 3"


def test_the_front_leaves_out_who_is_dominated(tmp_path, store):
    store(tmp_path, "a", level(8, 9))
    store(tmp_path, "standalone", level(6, 6), sent=(0, 0), flops=10**12)
    store(tmp_path, "worse", level(8, 8), sent=(10**6, 2 * 10**6))
    got = texts(cost_table(comparison(tmp_path)))
    assert [got[label]["On the front of bytes"] for label in ("a", "standalone", "worse")] == ["yes", "yes", "–"]


def test_accuracy_within_a_budget_by_hand(results):
    """2 MB and 2 TFLOP a round for a; standalone sends nothing and computes half."""
    table = budget_table(comparison(results), {"bytes": [3e6, 1e3], "flops": [4e12]})
    got = texts(table)
    assert got["a"] == {"Method": "a", "3 MB": "50.00", "0.001 MB": "no round", "4 TFLOP": "70.00"}
    assert got["standalone"] == {"Method": "standalone", "3 MB": "60.00", "0.001 MB": "60.00", "4 TFLOP": "60.00"}
    assert budget_table(comparison(results), {"bytes": [], "flops": []}) is None  # no power of ten lies in 3 to 6


def test_a_run_that_is_not_done_is_told_of_and_never_averaged(results, store):
    store(results, "a", [(0, 0)] * 3, seed=1, status="failed", reason="out of memory")
    store(results, "c", [(0, 0)] * 3, status="diverged", reason="the training loss of client 0 is nan")
    found = comparison(results)
    table = main_table(found, "standalone")
    got = texts(table)
    assert got["a"][ACCURACY] == got["c"][ACCURACY] == "–"
    assert got["standalone"][ACCURACY] == "60.00"
    assert footnotes(found) == [
        "a, seed 1: failed (out of memory)",
        "c, seed 0: diverged (the training loss of client 0 is nan)",
        "standalone, seed 1: not run",
    ]
    assert "–<sup>3</sup>" in as_markdown(table)  # 1 and 2 are standalone's: not levelled, and a missing seed
    assert r"--\textsuperscript{3}" in as_latex(table, "digits", [])


def test_other_predictors_have_a_column(results, store):
    scores = {"correct": [1, 2], "total": [10, 10]}
    by = {"prototype": {"post_local": scores, "post_download": scores}}
    store(results, "p", [(5, 5)] * 3, predictors=by)
    got = texts(accuracy_table(comparison(results)))
    assert got["p"]["By prototype"] == "15.00"
    assert got["a"]["By prototype"] == "–"
    assert got["a"]["Oracle (best round on test)"] == "85.00"


def test_settings_that_differ_are_comparisons_of_their_own(results, store):
    store(results, "a", [(5, 5)] * 3, batch_size=8)
    store(results, "a", [(5, 5)] * 3, dataset="other")
    names = [c.name for c in read_experiment(results, "exp", {})]
    assert names == ["digits-batch_size=8", "digits-batch_size=64", "other"]


def test_how_clients_train_makes_no_comparison_of_its_own(results, store):
    """The labels name what is different from most runs: here a rate of two."""
    store(results, "a", [(5, 5)] * 3, lr=0.1, momentum=0.9)
    found = comparison(results)
    assert sorted(found.methods) == ["a", "a+lr=0.1+momentum=0.9", "standalone"]
    assert (found.training["lr"], found.training["momentum"]) == (0.01, 0.0)


def test_an_axis_that_varies_is_found(tmp_path, store):
    for classes in (2, 5, 10):
        store(tmp_path, "a", [(5, 5)], partition=f"pathological:{classes}")
    store(tmp_path, "a", [(5, 5)], partition="dirichlet:0.3")
    store(tmp_path, "a", [(5, 5)], partition="pathological:2", participation=0.5)
    with pytest.raises(RequestError, match="its participants are not what the specification asks for"):
        read_experiment(tmp_path, "exp", {})  # both take part where one should
    for path in (tmp_path / "exp").rglob("run.json"):
        if '"participation": 0.5' in path.read_text():
            path.unlink()
    axes = list(varying(read_experiment(tmp_path, "exp", {})))
    assert [(axis.name, list(axis.values)) for axis in axes] == [("pathological-digits", [2, 5, 10])]


def test_each_parameter_of_a_partition_is_an_axis_and_a_shift_is_none(tmp_path, store):
    partitions = [
        "label-quantity:0.3:1",
        "label-quantity:0.3:10",
        "label-quantity:3:1",
        "label-quantity:0.3:1+rotated",
        "label-quantity:0.3:10+rotated",
        "iid",
        "iid+rotated",
    ]
    for partition in partitions:
        store(tmp_path, "a", [(5, 5)], partition=partition)
    found = read_experiment(tmp_path, "exp", {})
    assert {comparison.name for comparison in found} == {
        "digits-partition=label-quantity0.3_1",
        "digits-partition=label-quantity0.3_10",
        "digits-partition=label-quantity3_1",
        "digits-partition=label-quantity0.3_1+rotated",
        "digits-partition=label-quantity0.3_10+rotated",
        "digits-partition=iid",
        "digits-partition=iid+rotated",
    }
    assert sorted((axis.name, list(axis.values)) for axis in varying(found)) == [
        ("label-quantity1-digits", [0.3, 3]),
        ("label-quantity2-digits-1", [1, 10]),
        ("label-quantity2-digits-2", [1, 10]),
    ]


def test_a_report_has_tables_figures_and_pages(seeds, tmp_path):
    (page,) = write_report(seeds, tmp_path / "reports", ["exp"], ReportOptions())
    folder = tmp_path / "reports" / "exp"
    assert page == folder / "index.html"
    assert sorted(p.name for p in folder.iterdir()) == ["figures", "index.html", "report.md", "tables"]
    kinds = ("main", "accuracy", "differences", "differences-download", "costs")
    tables = {f"digits-{kind}.{suffix}" for kind in kinds for suffix in ("md", "tex", "csv")} | {"digits-runs.csv"}
    assert tables <= {p.name for p in (folder / "tables").iterdir()}
    stems = {f"digits-{kind}" for kind in ("rounds", "bytes", "flops", "costs", "clients", "fronts", "partition")}
    stems |= {"digits-differences"}
    assert {p.name for p in (folder / "figures").iterdir()} == {s + e for s in stems for e in (".png", ".pdf")}
    text = (folder / "report.md").read_text()
    assert all(f"(<figures/{stem}.png>)" in text for stem in stems)
    assert "python -m benchmark run --seeds 1" in text
    html = page.read_text()
    assert html.count("data:image/webp;base64,") == len(stems)
    assert "python -m benchmark run --seeds 1" in html


def test_tables_are_as_they_were(seeds, store, tmp_path):
    """expected/ was looked through by hand; a change of a table shows in its diff."""
    store(seeds, "c", [(0, 0)] * 3, status="failed", reason="out of memory: 100 % of it_")
    found = comparison(seeds)
    tables = [main_table(found, "standalone"), *difference_tables(found, "standalone"), accuracy_table(found)]
    tables += [cost_table(found), budget_table(found, {"bytes": [3e6], "flops": [4e12]})]
    for table in tables:
        write_table(table, "digits", commands(found), tmp_path)
    got = {path.name: path.read_text() for path in tmp_path.glob("digits-*.*")}
    assert len(got) == 18
    assert got == {path.name: path.read_text() for path in EXPECTED.iterdir()}


def test_numbers_for_programs(results, without_figures, tmp_path):
    write_report(results, tmp_path / "reports", [], ReportOptions())
    tables = tmp_path / "reports" / "exp" / "tables"
    assert pd.read_csv(tables / "digits-runs.csv")["accuracy_mean"].tolist() == [85, 60]
    assert pd.read_csv(tables / "digits-main.csv")[ACCURACY].tolist() == [85, 60, 50]  # and the floor


def test_a_report_is_the_same_twice(seeds, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "PLOTS", ["rounds", "partition"])
    for name in ("one", "two"):
        write_report(seeds, tmp_path / name, [], ReportOptions())
    one, two = tmp_path / "one", tmp_path / "two"
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert len(files) > 18
    assert files == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    assert all((one / p).read_bytes() == (two / p).read_bytes() for p in files)


def test_a_report_of_failures_alone_has_a_table(without_figures, tmp_path, store):
    store(tmp_path, "a", [], rounds=[], status="failed", reason="no luck")
    write_report(tmp_path, tmp_path / "reports", [], ReportOptions())
    assert "a, seed 0: failed (no luck)" in (tmp_path / "reports" / "exp" / "report.md").read_text()


def test_without_results_there_is_no_report(tmp_path):
    with pytest.raises(RequestError, match="there are no results"):
        write_report(tmp_path, tmp_path / "reports", [], ReportOptions())
    assert not (tmp_path / "reports").exists()


def test_a_damaged_result_is_named_and_the_old_report_stays(results, without_figures, tmp_path):
    reports = tmp_path / "reports"
    write_report(results, reports, [], ReportOptions())
    before = {p: p.read_bytes() for p in reports.rglob("*") if p.is_file()}
    (damaged,) = results.glob("exp/digits/a/*/rounds.jsonl")
    damaged.write_text(damaged.read_text()[:-10])
    with pytest.raises(RequestError, match=r"rounds.jsonl is damaged: Invalid JSON"):
        write_report(results, reports, [], ReportOptions())
    assert {p: p.read_bytes() for p in reports.rglob("*") if p.is_file()} == before


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> $x$ \\input{/etc/passwd} | `a` =cmd()"


def test_whatever_stands_in_a_result_is_only_text(results, without_figures, store, tmp_path):
    store(results, "c", [(0, 0)] * 3, status="failed", reason=HOSTILE)
    folder = store(results, "d", [(5, 5)] * 3)
    run = {k: v for k, v in folder.read().items() if k not in ("schema", "digest")}
    folder.write(
        run | {"command": ["python", HOSTILE], "environment": run["environment"] | {"cpu": HOSTILE, HOSTILE: 1}}
    )
    write_report(results, tmp_path / "reports", [], ReportOptions())
    report = tmp_path / "reports" / "exp"
    html = (report / "index.html").read_text()
    assert html.count("<script") == 1 + 2  # the page's own, and the data of one comparison
    assert "<img src=x" not in html
    for line in (report / "report.md").read_text().splitlines():
        assert line.startswith("    ") or not re.search(r"(?<!\\)<(img|script)", line)
    for path in (report / "tables").glob("*.tex"):
        assert r"\input" not in "".join(line for line in path.read_text().splitlines() if not line.startswith("%"))
    assert not pd.read_csv(report / "tables" / "digits-runs.csv")["reason"].dropna().str.startswith("=").any()


@pytest.mark.parametrize("name", ["../../../tmp/x", "a/b", "", "x" * 300])
def test_a_setting_can_name_no_file_elsewhere(without_figures, tmp_path, store, name):
    """Files are named after settings where several differ."""
    store(tmp_path / "results", "a", [(5, 5)], partition=name)
    store(tmp_path / "results", "a", [(5, 5)])
    write_report(tmp_path / "results", tmp_path / "reports", [], ReportOptions())
    assert {p.name for p in tmp_path.iterdir()} == {"results", "reports"}
    assert all(len(p.name) < 140 for p in tmp_path.rglob("*"))


@pytest.mark.parametrize("damage", ["pickle", "cut", "shape", "kind", "nan"])
def test_representations_that_are_none_are_refused(results, store, damage):
    folder = store(results, "fedmoe", [(5, 5)] * 3)
    arrays = {
        "points": np.zeros((8, 3), np.float32),
        "kind": np.zeros(8, np.int32),
        "client": np.zeros(8, np.int32),
        "label": np.zeros(8, np.int32),
        "names": np.array(["shared expert"]),
    }
    match damage:
        case "pickle":
            arrays["names"] = np.array([print], dtype=object)
        case "shape":
            arrays["label"] = arrays["label"][:-1]
        case "kind":
            arrays["kind"] += 1
        case "nan":
            arrays["points"][0] = np.nan
    path = folder.path / "inspection.npz"
    np.savez(path, **arrays)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    folder.finish({k: v for k, v in folder.read().items() if k not in ("schema", "digest")} | {"inspected": True})
    with pytest.raises(RequestError, match=r"inspection.npz is damaged"):
        read_experiment(results, "exp", {})


def test_gates_and_representations_are_drawn(tmp_path, monkeypatch, write_data, capsys):
    """From a run that was asked for them to the figures."""
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = ["run", "--datasets", "tiny.npz", "--methods", "fedmoe,standalone", "--rounds", "2", "--clients", "3"]
    words += ["--partition", "iid", "--batch-size", "8", "--models", "cnn1"]
    assert main([*words, "--no-report"]) == 0
    figures = tmp_path / "reports" / "default" / "figures"
    assert main([*words, "--inspect", "--no-report"]) == 0
    assert "already there, without what --inspect stores; --force runs it again" in capsys.readouterr().err
    assert main([*words, "--inspect", "--force"]) == 0
    assert {"tiny-weights.png", "tiny-embedding.pdf"} <= {p.name for p in figures.iterdir()}
    (lines,) = (tmp_path / "results").glob("default/tiny/fedmoe/*/rounds.jsonl")
    last = json.loads(lines.read_text().splitlines()[-1])["inspection"]
    for shared, private in zip(last["shared expert"], last["private expert"], strict=True):
        assert shared.keys() == private.keys() <= {"0", "1", "2"}
        assert all(abs(shared[c] + private[c] - 1) < 2e-4 for c in shared)
    with np.load(lines.with_name("inspection.npz"), allow_pickle=False) as arrays:
        assert arrays["names"].tolist() == ["shared expert", "private expert"]
        assert len(arrays["points"]) == len(arrays["label"]) == 2 * 12  # twelve test samples, two experts
    assert main(["verify"]) == 0


def test_twenty_methods_have_room_in_every_figure(tmp_path, store, monkeypatch):
    for i in range(20):
        store(tmp_path, f"method-{i}", [(4, i % 10), (7, 7)])
    figures = {}

    def laid_out(figure, path, **options):
        figure.draw_without_rendering()
        figures[Path(path).stem.removeprefix("digits-")] = figure

    monkeypatch.setattr(Figure, "savefig", laid_out)
    found = comparison(tmp_path)
    write_figures(found, list(PLOTS), Style([run.label for run in found.runs]), tmp_path)
    listing = figures.keys() - {"partition"}
    assert listing == {"rounds", "bytes", "flops", "costs", "clients", "fronts"}
    for name in listing:
        panels = figures[name].axes
        assert all(axes.get_position().height > 0.6 for axes in panels), name
        for legend in (axes.get_legend() for axes in panels if axes.get_legend()):
            page, box = figures[name].bbox, legend.get_window_extent()
            assert len(legend.get_texts()) == 20
            assert page.y0 <= box.y0 and box.y1 <= page.y1 and box.x1 <= page.x1, name


@pytest.mark.parametrize("words", [["--budget", "10"], ["--budget", "0MB"], ["--budget", "-1GB"], ["--target", "0"]])
def test_a_request_that_can_not_be(results, tmp_path, capsys, words):
    assert main(["report", "--results", str(results), "--reports", str(tmp_path / "reports"), *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "reports").exists()


def test_budgets_have_units():
    assert budgets_of("10MB, 2TFLOP,1.5 GFLOP,3kB") == {"bytes": [10e6, 3e3], "flops": [2e12, 1.5e9]}


def test_a_report_needs_no_torch(results, tmp_path):
    code = "import sys; from benchmark.cli.commands import main; code = main(sys.argv[1:]); "
    code += "sys.exit(99 if 'torch' in sys.modules else code)"
    words = ["report", "--results", str(results), "--reports", str(tmp_path / "reports")]
    got = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True)
    assert got.returncode == 0, got.stderr


def test_the_page_opens_in_a_browser_without_a_complaint(seeds, store, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("there is no chromium here")
    store(seeds, "c", [(0, 0)] * 3, status="failed", reason=HOSTILE)
    (page,) = write_report(seeds, tmp_path / "reports", [], ReportOptions())
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1280,2000",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    words += ["--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom", page.as_uri()]
    got = subprocess.run([browser, *words], capture_output=True, text=True, timeout=120)
    assert [line for line in got.stderr.splitlines() if "CONSOLE" in line] == []
    assert got.stdout.count('class="sort"') or got.stdout.count("aria-sort")
    assert "<svg" in got.stdout  # the script has drawn


def test_many_comparisons_are_drawn_by_processes_that_do_not_hang(tmp_path, store, monkeypatch):
    """torch's and scikit-learn's threads have worked in this process; a fork of it would wait for them for ever."""
    import torch
    from sklearn.manifold import TSNE

    torch.set_num_threads(2)
    (torch.rand(300, 300) @ torch.rand(300, 300)).sum()
    torch.set_num_threads(1)
    TSNE(init="pca", perplexity=3).fit_transform(np.random.default_rng(0).normal(size=(20, 5)))
    rng = np.random.default_rng(0)
    for classes in (2, 3, 4):
        arrays = {"points": rng.normal(size=(40, 5)).astype(np.float32), "names": np.array(["shared expert"])}
        arrays |= {name: np.zeros(40, np.int32) for name in ("kind", "client", "label")}
        seen = {"inspection": {"shared expert": [{"0": 0.5}, {"1": 0.25}]}}
        of_classes = {"partition": f"pathological:{classes}", "inspection": arrays}
        store(tmp_path / "results", "fedmoe", [(5, 5)], of_round=seen, **of_classes)
    monkeypatch.setattr(write, "PLOTS", ["embedding"])  # the kinds that are asked for
    write_report(tmp_path / "results", tmp_path / "reports", [], ReportOptions())
    names = {p.name for p in (tmp_path / "reports" / "exp" / "figures").iterdir()}
    assert {f"digits-partition=pathological{c}-embedding.png" for c in (2, 3, 4)} <= names
    assert "across-pathological-digits.pdf" in names


def test_a_reference_or_a_target_that_nobody_has(results, tmp_path):
    with pytest.raises(RequestError, match=r"unknown method 'standalon'; did you mean 'standalone'\?"):
        write_report(results, tmp_path / "reports", [], ReportOptions(reference="standalon"))
    with pytest.raises(RequestError, match=r"unknown data set 'digit'; did you mean 'digits'\?"):
        write_report(results, tmp_path / "reports", [], ReportOptions(targets={"digit": 50}))
    assert not (tmp_path / "reports").exists()


def test_what_lies_beside_a_result_does_not_keep_it_from_its_report(results, without_figures, tmp_path):
    """A killed process's checkpoint, a file of the desktop's; and a run that went on elsewhere is told of."""
    folder = next(results.glob("exp/digits/a/*"))
    (folder / "checkpoint.json").touch()
    (folder / ".DS_Store").touch()
    run = {k: v for k, v in RunFolder(folder).read().items() if k not in ("schema", "digest")}
    other = run["environment"] | {"packages": {"torch": "1"}}
    resumed = [{"rounds_done": 1, "started": "2026", "environment": other}]
    RunFolder(folder).write(run | {"resumed": resumed})
    found = comparison(results)
    note = "a, seed 0: it went on after round 1 with other packages: its numbers can't be reproduced"
    assert footnotes(found) == [note]
    assert texts(main_table(found, "standalone"))["a"][ACCURACY] == "85.00"


def test_comparisons_are_named_after_what_differs_though_some_do_not_have_it():
    """A line-up of the catalogue has no hash of a file; two versions of one's own differ in nothing else."""
    settings = [{"dataset": "d", "models": "cnn5", "seed": 0}]
    settings += [{"dataset": "d", "models": "mine", "seed": 0, "models_hash": text} for text in ("1", "2")]
    assert names_of(settings) == ["d-models=cnn5", "d-models=mine-models_hash=1", "d-models=mine-models_hash=2"]


@pytest.mark.parametrize("what", ["source", "hyper-parameter", "neither"])
def test_versions_of_a_method_are_two_methods_and_not_two_seeds(tmp_path, store, what):
    """Runs of one label, the second seed under an edited source or another default."""
    runs = [StoredRun.read(store(tmp_path, "mine", [(5, 6)], seed=seed)) for seed in (0, 1)]
    method = runs[1].run["specification"]["method"]
    if what == "source":
        runs[0].run["specification"]["method"]["source_hash"] = "a" * 16
        method["source_hash"] = "b" * 16
    elif what == "hyper-parameter":
        method["hyperparameters"] = {"variant": "another"}
    labels = [run.label for run in told_apart(runs)]
    assert (
        labels
        == {
            "source": ["mine+source=aaaaaaaa", "mine+source=bbbbbbbb"],
            "hyper-parameter": ["mine+variant=mine", "mine+variant=another"],
            "neither": ["mine", "mine"],
        }[what]
    )


def test_a_default_that_has_changed_since_is_named(tmp_path, store):
    """FedProto without `collect` is from before that field, when prototypes were taken after training."""
    for label, hyperparameters in (
        ("fedproto", {"weighting": "plain"}),
        ("fedproto+collect=after", {"weighting": "plain"}),
        ("fedproto+weighting=samples", {"weighting": "samples", "collect": "during"}),
        ("mine", {"weighting": "plain"}),
    ):
        store(tmp_path, label, [[5, 5]], hyperparameters=hyperparameters, seed=len(label))
    (comparison,) = read_experiment(tmp_path, "exp", {})
    assert sorted(comparison.methods) == ["fedproto+collect=after", "fedproto+weighting=samples", "mine"]
    assert comparison.seeds == [4, 8, 22, 26]


def test_a_standstill_of_the_machine_is_told_below_tables(tmp_path, store):
    """Of 45 rounds of half a second the last takes ten minutes: 622 s, where 45 of the median take 22.5."""

    def of_round(record):
        of_one, of_other = record["clients"]
        seconds = 599.75 if record["round"] == 45 else 0.25
        clients = [of_one, of_other | {"seconds": {"training": seconds}}]
        return {"clients": clients, "client_seconds": 0.25 + seconds}

    store(tmp_path, "a", [(5, 5)] * 45, of_round=of_round)
    (note,) = footnotes(comparison(tmp_path))
    assert note.startswith("a, seed 0: its rounds took 28 times as long as if each had taken the median")
    said = []
    with telling(said.append):
        assert verify(tmp_path) == ([], 1)
    assert "the machine stood still or was busy" in said[0]
