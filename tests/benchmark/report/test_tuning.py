"""The table and the figure of a tuning, on results written by hand."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.report import write
from benchmark.report.drawing import sheet
from benchmark.report.figures import write_figures
from benchmark.report.formats import as_markdown
from benchmark.report.frame import colour_order, read_experiment
from benchmark.report.latex import as_latex
from benchmark.report.looks import Style
from benchmark.report.tuning import draw_expected, tuned_methods, tuning_table
from benchmark.report.write import ReportOptions, write_report
from benchmark.storage.moments import DOWNLOAD
from benchmark.tuning.record import read_tunings, store_tunings


@pytest.fixture
def results(tmp_path, store):
    """Two methods, three trials each under seed 9; runs of defaults and choices under seeds 0 and 1.

    a:    validation 50, 70, 60 and test 40, 60, 80; the default has 40 and 50, the choice 60 and 80
    b:    validation 60, 50, 60 and test 50, 90, 70; the default, which stays, has 55 and 55
    """
    trials = {
        "a": {"a": (5, 4), "a+lr=1": (7, 6), "a+lr=2": (6, 8)},
        "b": {"b": (6, 5), "b+lr=1": (5, 9), "b+lr=2": (6, 7)},
    }
    records = []
    for method, of_method in trials.items():
        keys = {}
        for label, (validation, test) in of_method.items():
            folder = store(
                *(tmp_path, label, [(test, test)]),
                on_validation=[(validation, validation)],
                seed=9,
                experiment="exp-trials",
                validation=0.2,
                flops=(2 if method == "a" else 4) * 10**12,
            )
            keys[label] = folder.path.name
        setting = json.loads((folder.path / "run.json").read_text())["specification"]
        setting = {name: value for name, value in setting.items() if name not in ("method", "seed")}
        found = [{"label": label, "keys": [key]} for label, key in keys.items()]
        records.append({"method": method, "setting": setting, "seeds": [9], "trials": found})
    store_tunings(tmp_path, "exp", records)
    for label, correct in {"a": [(4, 4), (5, 5)], "a+lr=1": [(6, 6), (8, 8)], "b": [(5, 6), (5, 6)]}.items():
        for seed, right in enumerate(correct):
            store(tmp_path, label, [right], seed=seed)
    return tmp_path


def tuned(results):
    (comparison,) = read_experiment(results, "exp", {})
    return comparison, tuned_methods(comparison, read_tunings(results, "exp"))


def texts(table):
    """Row name -> column -> text."""
    return {row[0].text: {c.title: cell.text for c, cell in zip(table.columns, row, strict=True)} for row in table.rows}


def test_the_table_has_the_accuracies_of_the_moment_that_is_asked_for(results):
    """After the download all score half: 22.5 and 35 of the 45 and 70 below."""
    comparison, methods = tuned(results)
    for run in comparison.runs:
        run.summary["accuracy_mean_post_download"] /= 2
    got = texts(tuning_table(replace(comparison, moments=(DOWNLOAD,)), methods))
    assert got["a"]["Default [%]"].startswith("22.50")
    assert got["a"]["Tuned [%]"].startswith("35.00")
    assert got["a"]["Gain"] == "+12.50"


def test_the_table_by_hand(results):
    """Gains 20 and 30: 25, and Student's t with one degree of freedom is 12.706 times the standard error of 5."""
    got = texts(tuning_table(*tuned(results)))
    assert list(got) == ["a", "b"]
    assert got["a"] == {
        "Method": "a",
        "Default [%]": "45.00 ± 63.53",
        "Tuned [%]": "70.00 ± 127.06",
        "Gain": "+25.00",
        "95 % interval": "[-38.53, +88.53]",
        "Chosen": "lr=1",
        "Rank after 1 trial": "2",  # 40 against 50
        "Rank after 3 trials": "1",  # 60 against 50: b's first and last trial tie, and the earlier one is its choice
    }
    assert got["b"] == {
        "Method": "b",
        "Default [%]": "55.00 ± 0.00",
        "Tuned [%]": "55.00 ± 0.00",
        "Gain": "–",
        "95 % interval": "–",
        "Chosen": "the default",
        "Rank after 1 trial": "1",
        "Rank after 3 trials": "2",
    }


def test_trials_have_a_report_only_if_they_are_asked_for(results, tmp_path):
    """Read as a comparison they would invite to choose by test accuracy."""
    pages = [write_report(results, tmp_path / "r", names, ReportOptions()) for names in ([], ["exp-trials"])]
    assert [[page.parent.name for page in some] for some in pages] == [["exp"], ["exp-trials"]]


def test_methods_are_ranked_after_one_four_and_all_trials(results, store):
    """With two trials more there are five, of which the last counts only after all."""
    folder = results / "exp-trials" / "tuning.json"
    content = json.loads(folder.read_text())
    for tuning in content["tunings"]:
        for i in (3, 4):
            label = f"{tuning['method']}+lr={i}"
            better = 10 if (i, tuning["method"]) == (4, "b") else 1
            run = store(
                *(results, label, [(better, better)]),
                on_validation=[(better, better)],
                seed=9,
                experiment="exp-trials",
                validation=0.2,
            )
            tuning["trials"].append({"label": label, "keys": [run.path.name]})
    folder.write_text(json.dumps(content))
    for seed in (0, 1):
        store(results, "b+lr=4", [(9, 9)], seed=seed)
    got = texts(tuning_table(*tuned(results)))
    assert {name: text for name, text in got["b"].items() if "Rank" in name} == {
        "Rank after 1 trial": "1",
        "Rank after 4 trials": "2",
        "Rank after 5 trials": "1",
    }


def test_it_says_whether_the_order_changes(results, store):
    assert "Tuning changes the order of the mean accuracies from b, a to a, b." in tuning_table(*tuned(results)).notes
    for seed in (0, 1):
        store(results, "b", [(9, 9)], seed=seed)
    assert "Tuning does not change the order of the mean accuracies: b, a." in tuning_table(*tuned(results)).notes


def test_it_says_which_gains_chance_does_not_explain(results, store):
    """Gains of 20 and 30 may be chance, with so few seeds; twice the same is not."""
    assert "No interval of a gain excludes 0: chance may do as much." in tuning_table(*tuned(results)).notes
    for seed, right in enumerate([(6, 6), (7, 7)]):
        store(results, "a+lr=1", [right], seed=seed)
    assert texts(tuning_table(*tuned(results)))["a"]["Gain"] == "+20.00"
    assert "The interval of the gain excludes 0 for a alone." in tuning_table(*tuned(results)).notes


def test_trials_that_were_lost_are_told(results, store):
    store(
        *(results, "b+lr=1", [(9, 9)]),
        on_validation=[(9, 9)],
        seed=9,
        experiment="exp-trials",
        validation=0.2,
        status="diverged",
        reason="a loss is not finite",
    )
    assert "b: 1 of 3 trials diverged" in tuning_table(*tuned(results)).notes


def test_the_caption_says_what_was_chosen_on_what(results):
    caption = tuning_table(*tuned(results)).caption
    assert caption.startswith("3 trials of each method under seed 9, the first being the default; ")
    assert "20 % of each client's training samples" in caption
    assert "Nothing is chosen by a test accuracy" in caption


def test_what_was_tuned_on_another_comparison_is_not_shown(results, store):
    """Nor what was not tuned at all, nor a method whose trials have not all ended."""
    store(results, "a", [(4, 4, 4)], seed=0, experiment="other")
    (comparison,) = read_experiment(results, "other", {})
    assert tuned_methods(comparison, read_tunings(results, "exp")) == []
    (path,) = results.glob("exp-trials/digits/a+lr=2/*/run.json")
    path.unlink()
    assert [method.label for method in tuned(results)[1]] == ["b"]


def test_the_figure_has_the_expectation_over_trials_and_over_flops(results):
    """a: the mean of 40, 60, 80; of pairs 60, 80, 60; of all 60. Each trial of b costs 4 TFLOP, each of a 2."""
    comparison, methods = tuned(results)
    panels = Figure().subplots(1, 2)
    draw_expected(panels, methods, Style(colour_order([comparison])))
    lines = {line.get_label(): line.get_data() for line in panels[0].lines}
    assert lines["a"][0].tolist() == [1, 2, 3]
    assert lines["a"][1] == pytest.approx([60, 200 / 3, 60])
    costs = {line.get_label(): line.get_xdata().tolist() for line in panels[1].lines}
    assert costs == {"a": [2, 4, 6], "b": [4, 8, 12]}
    highest = max(band.get_paths()[0].vertices[:, 1].max() for band in panels[0].collections)
    assert highest == pytest.approx(70 + np.sqrt(800 / 3))  # after one trial of b: mean and SD of 50, 90, 70


def test_the_report_has_both(results, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "PLOTS", {})
    (page,) = write_report(results, tmp_path / "reports", ["exp"], ReportOptions())
    folder = page.parent
    assert {path.name for path in (folder / "tables").glob("*-tuning.*")} == {
        f"digits-tuning.{suffix}" for suffix in ("md", "tex", "csv")
    }
    assert {path.name for path in (folder / "figures").iterdir()} == {"digits-tuning.png", "digits-tuning.pdf"}
    assert "What more trials find" in page.read_text()
    assert "Tuning changes the order" in (folder / "report.md").read_text()
    table = tuning_table(*tuned(results))
    assert "a" in as_markdown(table)
    assert r"\begin{table}" in as_latex(table, "digits", [])


def test_a_report_of_the_trials_themselves_is_an_ordinary_one(results, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "PLOTS", {})
    (page,) = write_report(results, tmp_path / "reports", ["exp-trials"], ReportOptions())
    assert "Tuning" not in (page.parent / "report.md").read_text()


def test_figures_have_room_beside_a_name_with_many_settings(results, store, tmp_path):
    """matplotlib warns, which fails here, if names leave no room for the axes."""
    name = "fedgen+generated_weight=2.41+hidden=1070+lr=0.0146+noise=9+server_lr=0.0196+server_steps=292"
    for seed in (0, 1):
        store(results, name, [(5, 5)], seed=seed)
    (comparison,) = read_experiment(results, "exp", {})
    style = Style(colour_order([comparison]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_figures(comparison, ["bytes", "costs", "clients", "fronts"], style, tmp_path)
    assert _texts_of_a_sheet(tmp_path, name) == [
        "fedgen+generated_weight=2.41+hidden…",
        "fedgen+generated_weight=2.41+hidden… (0 bytes)",
    ]


def _texts_of_a_sheet(folder, name):
    """What stands beside a row of that name, and in the legend for the name and a remark."""
    with sheet(folder / "one", 1, (5, 3), "") as (axes,):
        axes.plot([0], [0], label=f"{name} (0 bytes)")
        axes.set_yticks([0], [name])
        axes.legend()
    return [axes.get_yticklabels()[0].get_text(), axes.get_legend().get_texts()[0].get_text()]
