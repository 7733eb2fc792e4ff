"""Tables against numbers worked out by hand, on results written by hand."""

import json

import pandas as pd
import pytest

from benchmark.errors import RequestError
from benchmark.record import RunFolder, summarise
from benchmark.report.frame import read_experiment
from benchmark.report.page import write_report
from benchmark.report.tables import accuracy_table, caption, footnotes, main_table

FEDERATION = {
    "clients": 2,
    "participation": 1.0,
    "rounds": 3,
    "local_epochs": 1,
    "batch_size": 64,
    "lr": 0.01,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "eval_every": 1,
    "validation": 0.0,
    "augmentation": "none",
}


def store(
    results,
    label,
    correct,
    *,
    seed=0,
    status="done",
    reason=None,
    sent=(1e6, 1e6),
    dataset="digits",
    predictors=None,
    **federation,
):
    """One run of two clients with 10 test samples each; correct[t] is what they get right in round t."""
    folder = RunFolder.of(results, "exp", dataset, label, f"{label}{seed}{len(federation)}")
    rounds = []
    for t, right in enumerate(correct):
        scores = {"correct": list(right), "total": [10, 10]}
        rounds.append(
            {
                "round": t + 1,
                "post_local": scores,
                "post_download": scores,
                "predictors": predictors or {},
                "bytes_up": sent[0],
                "bytes_down": sent[1],
                "client_flops": 2e12,
                "server_flops": 0,
                "client_seconds": 0.5,
                "server_seconds": 0.1,
                "eval_seconds": 0.2,
                "clients": [],
            }
        )
    spec = {
        "dataset": dataset,
        "data_hash": "d",
        "method": {"name": label, "label": label, "hyperparameters": {}},
        "partition": "pathological:2",
        "models": "cnn5",
        "federation": FEDERATION | federation,
        "seed": seed,
    }
    folder.start({})
    for record in rounds:
        folder.append(record)
    folder.write(
        {
            "status": status,
            "reason": reason,
            "key": folder.path.name,
            "specification": spec,
            "dataset": {"name": dataset, "target_accuracy": 70.0},
            "command": ["python", "-m", "benchmark", "run"],
            "summary": summarise(rounds) | {"peak_memory_bytes": 3 * 2**20, "gpu_seconds": None},
        }
    )


@pytest.fixture
def results(tmp_path):
    store(tmp_path, "a", [(4, 6), (7, 7), (8, 9)])  # mean accuracy 50, 70, 85
    store(tmp_path, "b", [(4, 4), (5, 5), (6, 6)], sent=(0, 0))  # 40, 50, 60: never at 70
    return tmp_path


def test_the_main_table_by_hand(results):
    (comparison,) = read_experiment(results, "exp", {})
    table = main_table(comparison)
    assert list(table.index) == ["a", "b"]
    assert table.loc["a"].to_dict() == {
        "Accuracy [%]": "85.00",
        "n": "1",
        "SD over clients": "7.07",
        "Sent [MB]": "6",
        "Computed [TFLOP]": "6",
        "Training [s]": "1.5",
        "Peak memory [MiB]": "3",
        "Rounds to 70 %": "2",
        "MB to 70 %": "4",
        "TFLOP to 70 %": "4",
        "s to 70 %": "1",
    }
    assert table.loc["b", "Sent [MB]"] == "0"
    assert table.loc["b", "Rounds to 70 %"] == table.loc["b", "MB to 70 %"] == "not reached"


def test_several_seeds_by_hand(results):
    store(results, "a", [(4, 6), (7, 5), (9, 10)], seed=1)  # 50, 60, 95: at 70 in the third round
    store(results, "b", [(7, 7)] * 3, seed=1, sent=(0, 0))
    (comparison,) = read_experiment(results, "exp", {})
    table = main_table(comparison)
    assert (table.loc["a", "Accuracy [%]"], table.loc["a", "n"]) == ("90.00 ± 7.07", "2")
    assert table.loc["a", "Rounds to 70 %"] == "2.5"
    assert table.loc["b", "Rounds to 70 %"] == "reached by 1 of 2"
    assert "± is the standard deviation over seeds" in caption(comparison)


def test_a_run_that_is_not_done_is_told_of_and_never_averaged(results):
    store(results, "a", [(0, 0)], seed=1, status="failed", reason="out of memory")
    store(results, "c", [(0, 0)], status="diverged", reason="the training loss of client 0 is nan")
    (comparison,) = read_experiment(results, "exp", {})
    table = main_table(comparison)
    assert table.loc["a", "Accuracy [%]"] == "85.00"
    assert list(table.index) == ["a", "b", "c"]
    assert set(table.loc["c"].drop("n")) == {"–"}
    assert footnotes(comparison) == [
        "a, seed 1: failed (out of memory)",
        "c, seed 0: diverged (the training loss of client 0 is nan)",
    ]


def test_the_target_is_the_data_sets_or_the_one_asked_for(results):
    assert "MB to 55 %" in main_table(read_experiment(results, "exp", {"": 55})[0])
    assert "MB to 60 %" in main_table(read_experiment(results, "exp", {"": 55, "digits": 60})[0])
    assert main_table(read_experiment(results, "exp", {"digits": 60})[0]).loc["b", "Rounds to 60 %"] == "3"


def test_other_predictors_have_a_column(results):
    scores = {"post_local": {"correct": [1, 2], "total": [10, 10]}}
    store(results, "p", [(5, 5)] * 3, predictors={"prototype": scores})
    table = accuracy_table(read_experiment(results, "exp", {})[0])
    assert table.loc["p", "By prototype"] == "15.00"
    assert table.loc["a", "By prototype"] == "–"
    assert table.loc["a", "Oracle (best round on test)"] == "85.00"


def test_settings_that_differ_are_tables_of_their_own(results):
    store(results, "a", [(5, 5)], lr=0.1)
    store(results, "a", [(5, 5)], dataset="other")
    names = [comparison.name for comparison in read_experiment(results, "exp", {})]
    assert names == ["digits-lr=0.01", "digits-lr=0.1", "other"]


def test_a_report_has_tables_figures_and_a_page(results, tmp_path):
    reports = tmp_path / "reports"
    (page,) = write_report(results, reports, ["exp"], {})
    folder = reports / "exp"
    assert page == folder / "report.md"
    assert {p.name for p in (folder / "tables").iterdir()} == {
        "digits.md",
        "digits.tex",
        "digits.csv",
        "digits-accuracy.md",
        "digits-accuracy.tex",
    }
    stems = {f"digits-{kind}" for kind in ("rounds", "bytes", "flops", "clients")}
    assert {p.name for p in (folder / "figures").iterdir()} == {s + e for s in stems for e in (".png", ".pdf")}
    text = page.read_text()
    assert all(f"(<figures/{stem}.png>)" in text for stem in stems)
    assert "python -m benchmark run" in text


def test_tables_on_disk(results, tmp_path):
    write_report(results, tmp_path / "reports", [], {})
    tables = tmp_path / "reports" / "exp" / "tables"
    first = (tables / "digits.md").read_text().splitlines()
    assert [cell.strip() for cell in first[2].split("|")[1:4]] == ["a", "85.00", "1"]
    latex = (tables / "digits.tex").read_text()
    for line in (
        r"\toprule",
        r"\bottomrule",
        r"\caption{digits, pathological:2, cnn5",
        r"Accuracy [\%]",
        r"a & 85.00 & 1 & 7.07",
    ):
        assert line in latex
    numbers = pd.read_csv(tables / "digits.csv")
    assert numbers["accuracy_mean"].tolist() == [85, 60]


def test_a_report_is_the_same_twice(results, tmp_path):
    for name in ("one", "two"):
        write_report(results, tmp_path / name, [], {})
    one, two = tmp_path / "one", tmp_path / "two"
    files = [p.relative_to(one) for p in one.rglob("*") if p.is_file()]
    assert len(files) == 14
    assert all((one / p).read_bytes() == (two / p).read_bytes() for p in files)


def test_a_report_of_failures_alone_has_a_table(tmp_path):
    store(tmp_path, "a", [], status="failed", reason="no luck")
    (page,) = write_report(tmp_path, tmp_path / "reports", [], {})
    assert "a, seed 0: failed (no luck)" in page.read_text()


def test_without_results_there_is_no_report(tmp_path):
    with pytest.raises(RequestError, match="there are no results"):
        write_report(tmp_path, tmp_path / "reports", [], {})
    assert not (tmp_path / "reports").exists()


def test_a_damaged_result_is_named(results, tmp_path):
    (damaged,) = results.glob("exp/digits/a/*/rounds.jsonl")
    damaged.write_text(damaged.read_text()[:-10])
    with pytest.raises(RequestError, match=r"rounds.jsonl is missing or damaged"):
        write_report(results, tmp_path / "reports", [], {})


def test_settings_in_run_json_survive_a_round_trip(results):
    (path,) = results.glob("exp/digits/a/*/run.json")
    assert json.loads(path.read_text())["schema"] == 1
