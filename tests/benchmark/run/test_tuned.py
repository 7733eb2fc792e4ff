"""`tune` and `run --tuned` as a user meets them: what they run, choose, resume and refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli.commands import main
from benchmark.federation import Federation
from benchmark.run import runner
from benchmark.storage.verify import verify

GRID = ["--datasets", "tiny.npz", "--models", "cnn1", "--clients", "2", "--partition", "iid", "--batch-size", "8"]
GRID += ["--rounds", "1", "--no-report"]
METHODS = ["--methods", "standalone,fml"]
TUNE = ["tune", *GRID, *METHODS, "--trials", "3", "--tuning-seeds", "100,101", "--seeds", "0,1"]
SMALL = [*TUNE, "--trials", "2", "--tuning-seeds", "100", "--seeds", "0", "--rounds", "2", "--checkpoint-every", "0"]


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def tuned_once(tmp_path_factory, write_data):
    folder = tmp_path_factory.mktemp("tuned")
    write_data(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        assert main(TUNE) == 0
    return folder


@pytest.fixture
def done(tuned_once, here):
    """A folder of its own in which two methods were tuned."""
    shutil.copytree(tuned_once, here, dirs_exist_ok=True)
    return here


def stored(folder, experiment):
    """(label, seed) -> run.json of the runs of an experiment."""
    runs = [json.loads(path.read_text()) for path in folder.glob(f"results/{experiment}/*/*/*/run.json")]
    return {(r["specification"]["method"]["label"], r["specification"]["seed"]): r["specification"] for r in runs}


def tuning_of(folder):
    return {t["method"]: t for t in json.loads((folder / "results/tune-trials/tuning.json").read_text())["tunings"]}


def test_every_method_has_the_same_number_of_trials_on_the_tuning_seeds(done):
    trials = stored(done, "tune-trials")
    assert len(trials) == 2 * 3 * 2
    assert {seed for _, seed in trials} == {100, 101}
    assert {spec["federation"]["validation"] for spec in trials.values()} == {0.2}
    for method, tuning in tuning_of(done).items():
        labels = [trial["label"] for trial in tuning["trials"]]
        assert labels[0] == method
        assert {label for label, _ in trials} >= {*labels}
    rates = [[t["label"].partition("lr=")[2] for t in of["trials"]] for of in tuning_of(done).values()]
    assert rates[0] == rates[1] == ["", "0.026", "0.0026"]


def test_what_was_chosen_and_the_defaults_run_on_fresh_seeds_without_validation(done):
    runs = stored(done, "tune")
    assert {seed for _, seed in runs} == {0, 1}
    assert {spec["federation"]["validation"] for spec in runs.values()} == {0.0}
    for method in ("standalone", "fml"):
        labels = {label for label, _ in runs if label.startswith(method)}
        assert method in labels
        assert len(labels) <= 2
    assert verify(Path("results")) == ([], 12 + len(runs))


def test_the_choice_is_the_best_on_validation(done, capsys):
    """Computed here from the stored rounds alone, of which there is one."""
    assert main([*TUNE, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["experiment"] == "tune"
    for choice in document["chosen"]:
        scores = []
        for trial in tuning_of(done)[choice["method"]]["trials"]:
            of_seeds = []
            for key in trial["keys"]:
                path = Path("results/tune-trials/tiny") / trial["label"] / key / "rounds.jsonl"
                scored = json.loads(path.read_text().splitlines()[-1])["validation"]
                of_seeds.append(sum(c / t for c, t in zip(scored["correct"], scored["total"], strict=True)) / 2)
            scores.append(100 * sum(of_seeds) / 2)
        assert [trial["validation"] for trial in choice["trials"]] == pytest.approx(scores)
        best = max(range(3), key=lambda i: scores[i])
        assert choice["chosen"] == choice["trials"][best]["label"]
    assert {run["method"] for run in document["runs"]} == {label for label, _ in stored(done, "tune")}
    assert all(run["reason"] == "already there" for run in document["runs"])


def test_test_accuracies_of_trials_are_not_printed(here, capsys, monkeypatch):
    """What is shown while they run is the accuracy on validation samples."""
    shown = []
    monkeypatch.setattr("benchmark.run.progress_display.LineProgress.round", lambda self, n, a: shown.append(a))
    assert main(SMALL) == 0
    validation = []
    for path in here.glob("results/tune-trials/*/*/*/rounds.jsonl"):
        for scored in (json.loads(line)["validation"] for line in path.read_text().splitlines()):
            validation.append(100 * sum(c / t for c, t in zip(scored["correct"], scored["total"], strict=True)) / 2)
    assert len(validation) == 2 * 2 * 2
    assert sorted(shown[:8]) == pytest.approx(sorted(validation))
    assert "accuracy %" not in capsys.readouterr().out.partition("chosen")[0]


@pytest.fixture(scope="module")
def never_interrupted(tmp_path_factory, write_data, contents):
    folder = tmp_path_factory.mktemp("whole")
    write_data(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        assert main(SMALL) == 0
    return contents(folder / "results")


@pytest.mark.parametrize("rounds", [1, 5, 9])
def test_interrupted_it_goes_on_to_the_same_end(never_interrupted, here, monkeypatch, contents, capsys, rounds):
    """Within the first trial, within another, and among the runs of what was chosen."""
    left = [rounds]
    original = Federation.round

    def interrupted(self, t):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(self, t)

    with monkeypatch.context() as patch:
        patch.setattr(Federation, "round", interrupted)
        assert main(SMALL) == 130
    assert "the same command, without --force, goes on" in capsys.readouterr().err
    assert main(SMALL) == 0
    assert contents(here / "results") == never_interrupted


def test_more_trials_go_on_from_fewer(done):
    before = {path: path.stat().st_mtime_ns for path in done.glob("results/tune-trials/*/*/*/run.json")}
    assert main([*TUNE, "--trials", "4"]) == 0
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    assert {len(tuning["trials"]) for tuning in tuning_of(done).values()} == {4}
    assert len(stored(done, "tune-trials")) == 2 * 4 * 2


def test_other_methods_can_be_tuned_later(done):
    assert main([*SMALL, "--methods", "fml+alpha=0.3"]) == 0
    assert {*tuning_of(done)} == {"standalone", "fml", "fml+alpha=0.3"}
    for trial in tuning_of(done)["fml+alpha=0.3"]["trials"]:
        assert "alpha=0.3" in trial["label"].split("+")  # what is given stays
    assert main(["run", *GRID, *METHODS, "--tuned", "tune"]) == 0


def test_a_method_of_ones_own_is_tuned_by_its_path(here):
    shutil.copy(Path(__file__).parents[3] / "methods" / "fml.py", "mine.py")
    assert main([*SMALL, "--methods", "mine.py"]) == 0
    assert main(["run", *GRID, "--methods", "./mine.py", "--tuned", "tune", "--experiment", "again"]) == 0
    assert {label for label, _ in stored(here, "again")} <= {label for label, _ in stored(here, "tune")}


@pytest.mark.parametrize("mark, message", [("2, 1", "has no values"), ("0.5, 3", "alpha of mine should be less than")])
def test_a_method_of_ones_own_with_a_wrong_range_is_one_line(here, capsys, monkeypatch, mark, message):
    text = (Path(__file__).parents[3] / "methods" / "fml.py").read_text()
    text = text.replace("alpha: UnitInterval", f"alpha: Annotated[UnitInterval, Search({mark})]")
    Path("mine.py").write_text(text.replace("import ClientWeights", "import Annotated, Search, ClientWeights"))
    refused(here, capsys, monkeypatch, [*TUNE, "--methods", "mine.py"], message)


def test_run_tuned_gives_each_method_what_was_chosen_for_it(done, capsys):
    assert main([*TUNE, "--json"]) == 0
    chosen = {choice["chosen"] for choice in json.loads(capsys.readouterr().out)["chosen"]}
    assert main(["run", *GRID, *METHODS, "--tuned", "tune", "--experiment", "again", "--seeds", "5"]) == 0
    assert {*stored(done, "again")} == {(label, 5) for label in chosen}


def test_each_comparison_has_its_own_choice(here):
    two = [*TUNE, "--clients", "2,3", "--methods", "standalone", "--seeds", "0", "--tuning-seeds", "100"]
    assert main(two) == 0
    assert len(json.loads((here / "results/tune-trials/tuning.json").read_text())["tunings"]) == 2
    again = ["run", *GRID, "--methods", "standalone", "--tuned", "tune", "--experiment", "again"]
    assert main([*again, "--clients", "3,2"]) == 0
    assert len([*here.glob("results/again/*/*/*/run.json")]) == 2


def test_it_runs_in_processes_too(never_interrupted, here, contents):
    assert main([*SMALL, "--jobs", "1", "--threads", "1"]) == 0
    assert contents(here / "results") == never_interrupted


def test_what_failed_is_told_and_loses(here, monkeypatch, capsys):
    original = Federation.round

    def failing(self, t):
        if self.config.lr == 0.026:
            raise RuntimeError("no luck")
        return original(self, t)

    monkeypatch.setattr(Federation, "round", failing)
    assert main([*TUNE, "--json", "--methods", "standalone", "--seeds", "0"]) == 1
    (choice,) = json.loads(capsys.readouterr().out)["chosen"]
    assert [trial["status"] for trial in choice["trials"]] == ["done", "failed", "done"]
    assert "lr=0.026" not in choice["chosen"]


def test_a_dry_run_has_all_trials_and_twice_the_final_runs(here, capsys):
    words = ["tune", *GRID, "--methods", "standalone", "--trials", "3", "--tuning-seeds", "100,101", "--seeds", "0,1"]
    assert main([*words, "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [run["method"] for run in document["runs"]] == [
        *["standalone", "standalone+lr=0.026", "standalone+lr=0.0026"] * 2,
        *["standalone"] * 2,
        *["standalone (tuned)"] * 2,
    ]
    assert document["total"]["runs"] == 10
    assert document["total"]["client_flops"] == sum(run["prediction"]["client_flops"] for run in document["runs"])
    assert not (here / "results").exists()


def test_the_report_shows_the_tuning(done, monkeypatch, capsys):
    monkeypatch.setattr("benchmark.report.write.PLOTS", ["rounds"])
    assert main(["report", "--experiment", "tune"]) == 0
    page = (done / "reports" / "tune" / "report.md").read_text()
    assert "### Tuning" in page
    assert "What more trials find" in page
    assert (done / "reports/tune/figures/tiny-tuning.png").exists()


BAD = {
    "no trials": (["--trials", "0"], "0 is not in the range 2<=x<=10000"),
    "one trial": (["--trials", "1"], "1 is not in the range 2<=x<=10000"),
    "trials that are no number": (["--trials", "nan"], "'nan' is not a valid integer"),
    "common seeds": (["--tuning-seeds", "5,1"], "--tuning-seeds and --seeds both have 1"),
    "seeds twice": (["--tuning-seeds", "5,5"], "seeds: 5 stands twice"),
    "a seed below 0": (["--tuning-seeds", "-1"], "a seed is at least 0 and below 2^63, not -1"),
    "seeds that are no numbers": (["--tuning-seeds", "a"], "--tuning-seeds should be whole numbers, not 'a'"),
    "no seeds": (["--tuning-seeds", ""], "--tuning-seeds '' has an empty name in it"),
    "no validation": (["--tuning-validation", "0"], "0.0 is not in the range 0<x<1"),
    "all validation": (["--tuning-validation", "1"], "1.0 is not in the range 0<x<1"),
    "more validation": (["--tuning-validation", "1.5"], "1.5 is not in the range 0<x<1"),
    "validation that is no number": (["--tuning-validation", "nan"], "nan is not a finite number"),
    "nearly all validation": (["--tuning-validation", "0.999"], "too few to train and test on"),
    "method": (["--methods", "fmll"], "unknown method 'fmll'; did you mean 'fml'?"),
    "method twice": (["--methods", "fml,fml"], "method: fml stands twice"),
    "rate": (["--lr", "-1"], "--lr should be greater than 0, not '-1'"),
    "experiment": (["--experiment", ""], "--experiment '' can't name a folder"),
    "long experiment": (["--experiment", "a" * 115], "can't name a folder"),
    "shard": (["--shard", "1/2"], "No such option '--shard'"),
}


def files(folder):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(done, capsys, monkeypatch, words, message):
    monkeypatch.setattr(runner, "Federation", None)  # nothing may train
    before = files(done)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert files(done) == before


@pytest.mark.parametrize("words, message", BAD.values(), ids=BAD.keys())
def test_a_wrong_tuning_is_one_line_and_touches_nothing(done, capsys, monkeypatch, words, message):
    refused(done, capsys, monkeypatch, [*TUNE, "--force", *words], message)


NOT_TUNED = {
    "nothing": (["--tuned", "nothing"], "there is no tuning 'nothing' in results; `tune --experiment nothing` makes"),
    "no name": (["--tuned", ""], "--tuned '' can't name a folder"),
    "method": (["--methods", "fedmoe"], "fedmoe was not tuned in 'tune', which has fml, standalone"),
    "variant": (["--methods", "fml+beta=1"], "fml+beta=1 was not tuned in 'tune', which has fml, standalone"),
    "data set": (
        ["--datasets", "other.npz"],
        "standalone was tuned in 'tune' on another comparison: dataset tiny, here other",
    ),
    "data": (["--datasets", "more/tiny.npz"], "on another comparison: data hash"),
    "partition": (["--partition", "dirichlet:1"], "another comparison: partition iid, here dirichlet:1"),
    "clients": (["--clients", "3"], "another comparison: clients 2, here 3"),
    "models": (["--models", "cnn5"], "another comparison: models cnn1, here cnn5"),
    "participation": (["--participation", "0.5"], "another comparison: participation 1.0, here 0.5"),
    "rate": (["--lr", "0.05"], "another comparison: lr 0.01, here 0.05"),
    "momentum": (["--momentum", "0.5"], "another comparison: momentum 0.0, here 0.5"),
    "clipping": (["--clip-norm", "1"], "another comparison: clip norm None, here 1.0"),
    "seed": (["--seeds", "0,101"], "standalone was tuned on seed 101; give --seeds that it was not tuned on"),
}


@pytest.mark.parametrize("words, message", NOT_TUNED.values(), ids=NOT_TUNED.keys())
def test_what_was_not_tuned_is_one_line_and_touches_nothing(done, capsys, monkeypatch, write_data, words, message):
    write_data(done / "more")
    shutil.copy("tiny.npz", "other.npz")
    if "more/tiny.npz" in words:
        with np.load("tiny.npz") as found:
            np.savez("more/tiny.npz", **{name: found[name][::-1] for name in found})
    refused(done, capsys, monkeypatch, ["run", *GRID, *METHODS, "--tuned", "tune", "--force", *words], message)


def test_rounds_and_local_work_may_differ_and_the_nearest_tuning_is_taken(done, capsys, monkeypatch):
    """Two tunings that differ in rounds: the one with those of the run, and none if there is no such one."""
    assert main([*TUNE, "--methods", "standalone", "--rounds", "2"]) == 0
    words = ["run", *GRID, "--methods", "standalone", "--tuned", "tune", "--experiment", "again"]
    assert main([*words, "--rounds", "2"]) == 0
    capsys.readouterr()
    refused(done, capsys, monkeypatch, [*words, "--rounds", "3"], "standalone was tuned 2 times in 'tune'")


def test_trials_that_have_not_ended_are_told(done, capsys, monkeypatch):
    key = tuning_of(done)["fml"]["trials"][1]["keys"][0]
    (folder,) = done.glob(f"results/tune-trials/*/*/{key}")
    shutil.rmtree(folder)
    refused(
        *(done, capsys, monkeypatch, ["run", *GRID, *METHODS, "--tuned", "tune"]),
        "1 of 3 trials of fml in 'tune' have not ended; the command that began them goes on",
    )


def test_a_damaged_tuning_is_told(done, capsys, monkeypatch):
    (done / "results/tune-trials/tuning.json").write_text("{")
    for words in (["run", *GRID, *METHODS, "--tuned", "tune"], TUNE):
        refused(done, capsys, monkeypatch, words, "tuning.json is damaged, or of a later version; remove it and tune")
