"""The command line as a user meets it: what it runs, what it prints, what it refuses."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import arguments
from benchmark.cli.commands import main
from benchmark.config import FederationConfig, RunSpec
from benchmark.run import runner
from benchmark.run.plan import plan

QUICK = ["--methods", "standalone,fedmoe", "--rounds", "2", "--clients", "4", "--partition", "iid", "--batch-size", "8"]


@pytest.fixture(autouse=True)
def one_figure(monkeypatch):
    """A report's figures take longer than the runs of these tests."""
    monkeypatch.setattr("benchmark.report.write.PLOTS", ["rounds"])


def files(folder):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    """A folder to work in, empty but for the data set."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mine")
    return tmp_path


@pytest.fixture(scope="session")
def after_one_grid(tmp_path_factory, write_data):
    folder = tmp_path_factory.mktemp("grid")
    write_data(folder / "mine")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        monkeypatch.setattr("benchmark.report.write.PLOTS", ["rounds"])
        assert main(["run", "--datasets", "mine/tiny.npz", *QUICK]) == 0
    return folder


@pytest.fixture
def done(after_one_grid, tmp_path, monkeypatch):
    """A folder of its own in which one small grid has run."""
    shutil.copytree(after_one_grid, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_leaves_results_and_a_report(here, capsys):
    assert main(["run", "--datasets", "mine/tiny.npz", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert "report: reports/default/index.html" in out
    assert err.startswith("2 runs, 4 rounds in all; results: results/default\n")
    assert "1/2 tiny standalone seed 0: round 2/2, accuracy" in err  # not a terminal: plain lines
    assert (here / "reports" / "default" / "report.md").exists()
    (path,) = (here / "results").glob("default/tiny/fedmoe/*/run.json")
    run = json.loads(path.read_text())
    assert run["status"] == "done"
    assert run["specification"]["federation"]["batch_size"] == 8
    assert run["specification"]["method"]["hyperparameters"]["gate_width"] == 64
    assert run["partition"]["hash"]
    assert run["environment"]["packages"]["torch"]
    assert run["command"][:3] == ["python", "-m", "benchmark"]
    assert len(path.with_name("rounds.jsonl").read_text().splitlines()) == 2
    contract = {
        "accuracy_mean",
        "accuracy_std_clients",
        "accuracy_worst_decile",
        "accuracy_weighted",
        "accuracy_oracle",
        "accuracy_mean_post_download",
        "rounds_done",
        "bytes_up",
        "bytes_down",
        "bytes_by_name",
        "client_flops",
        "server_flops",
        "client_seconds",
        "server_seconds",
        "eval_seconds",
        "gpu_seconds",
        "peak_memory_bytes",
    }
    assert contract <= set(run["summary"])
    assert run["summary"]["gpu_seconds"] is None


def test_both_methods_meet_the_same_data(done):
    runs = [json.loads(p.read_text()) for p in (done / "results").rglob("run.json")]
    assert len(runs) == 2
    assert len({(r["partition"]["hash"], r["dataset"]["hash"]) for r in runs}) == 1


def test_a_finished_run_is_not_run_again_unless_forced(done, capsys):
    before = files(done / "results")
    assert main(["run", "--datasets", "mine/tiny.npz", *QUICK, "--no-report"]) == 0
    assert files(done / "results") == before
    assert capsys.readouterr().err.startswith("2 runs, 2 of them already there, 4 rounds in all")
    assert main(["run", "--datasets", "mine/tiny.npz", *QUICK, "--no-report", "--force"]) == 0
    assert files(done / "results") != before


def test_results_are_equal_where_they_should_be(done):
    """The same request forced again gives the same numbers, all but seconds."""

    def numbers():
        (path,) = (done / "results").glob("default/tiny/fedmoe/*/rounds.jsonl")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [(r["train_loss"], r["post_local"], r["post_download"], r["bytes_up"], r["client_flops"]) for r in lines]

    before = numbers()
    main(["run", "--datasets", "mine/tiny.npz", *QUICK, "--no-report", "--force"])
    assert numbers() == before


def test_json_is_one_document_and_nothing_else(here, capsys):
    assert main(["run", "--datasets", "mine/tiny.npz", *QUICK, "--json", "--experiment", "x"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["experiment"] == "x"
    assert [run["method"] for run in document["runs"]] == ["standalone", "fedmoe"]
    for run in document["runs"]:
        assert set(run) == {"dataset", "method", "key", "status", "reason", "path", "summary"}
        assert run["summary"]["rounds_done"] == 2
        assert Path(run["path"]).exists()


def test_the_grid_is_a_product(here):
    given = {"datasets": "mine/tiny.npz", "methods": "standalone,fml", "rounds": "1", "clients": "2,3"}
    given |= {"partition": "iid,dirichlet:1", "seeds": "0,1"}
    places = {"data": Path("data"), "results": Path("results"), "device": "cpu"}
    runs = plan(arguments.request_of(None, given, None, ("run",), **places))
    assert len({run.spec.key for run in runs}) == len(runs) == 16


def test_a_method_that_fails_is_a_row_and_the_grid_goes_on(here, capsys):
    (here / "bad.py").write_text(
        '"""Bad."""\nfrom dataclasses import dataclass\nfrom benchmark.api import Method\n'
        "@dataclass(frozen=True)\nclass Bad(Method):\n"
        "    def loss(self, client, batch):\n        raise RuntimeError('no luck\\ntwice')\n"
    )
    words = ["run", "--datasets", "mine/tiny.npz", "--rounds", "1", "--clients", "2", "--partition", "iid"]
    assert main([*words, "--methods", "bad.py,standalone"]) == 1
    reason = "client 0, round 1, training, phase 0: RuntimeError: no luck twice"
    assert f"failed: bad on tiny: {reason}" in capsys.readouterr().err
    (path,) = (here / "results").glob("default/tiny/bad/*/run.json")
    assert json.loads(path.read_text())["reason"] == reason
    assert f"bad, seed 0: failed ({reason})" in (here / "reports" / "default" / "report.md").read_text()
    (path,) = (here / "results").glob("default/tiny/standalone/*/run.json")
    assert json.loads(path.read_text())["status"] == "done"


OWN = '''from dataclasses import dataclass
from benchmark.api import Method, Phase

@dataclass(frozen=True)
class Own(Method):
    """One's own."""
'''


@pytest.mark.parametrize("body, message", [
    ("    def shares(self):\n        return ('body',)\n", "it shares 'body', and a client holds extractor, header"),
    ("    def shares(self):\n        return ('header')\n", "it shares 'header', which is no tuple of names; write"),
    ("    def phases(self):\n        return (Phase(trains=('body',)),)\n", "own: it trains 'body', and a client holds"),
    ("    def phases(self):\n        return (Phase(trains='header'),)\n", "it trains 'header', which is no tuple"),
    ("    def phases(self):\n        return Phase()\n", "own: phases() gives no tuple of Phases; write (Phase(...),)"),
    ("    def unsupported(self, task):\n        return task.nothing\n", "own fails before it runs: AttributeError"),
])  # fmt: skip
def test_a_method_that_can_t_work_says_so_before_anything_runs(here, capsys, body, message):
    (here / "own.py").write_text(OWN + body)
    assert main(["run", "--methods", "own.py", "--datasets", "mine/tiny.npz", "--partition", "iid"]) == 2
    assert message in capsys.readouterr().err
    assert not (here / "results").exists()


def test_outcomes_are_told_though_the_report_fails(done, capsys):
    (damaged,) = (done / "results").glob("default/tiny/fedmoe/*/run.json")
    damaged.write_text('{"schema": 1}')
    words = ["run", "--datasets", "mine/tiny.npz", *QUICK, "--methods", "standalone", "--json"]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["runs"][0]["status"] == "done"
    assert "no report: " in err


def test_a_stored_command_can_be_typed_again(here, capsys):
    (here / "mine" / "tiny.npz").rename(here / "mine" / "my tiny.npz")
    words = ["run", "--datasets", "mine/my tiny.npz", *QUICK, "--methods", "standalone"]
    assert main(words) == 0
    assert "--datasets 'mine/my tiny.npz'" in (here / "reports" / "default" / "report.md").read_text()


def test_a_loss_that_is_not_finite_is_a_status(here, capsys):
    words = [
        "run",
        "--datasets",
        "mine/tiny.npz",
        "--rounds",
        "9",
        "--clients",
        "2",
        "--partition",
        "iid",
        "--lr",
        "1e30",
    ]
    assert main([*words, "--methods", "standalone", "--json"]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["status"] == "diverged"
    assert "training loss of client" in run["reason"]


def test_an_interruption_ends_with_130(here, capsys, monkeypatch):
    def interrupted(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "execute", interrupted)
    assert main(["run", "--datasets", "mine/tiny.npz", *QUICK]) == 130


def test_without_data_set_it_is_the_demo(here, monkeypatch, capsys):
    asked = []

    def plan(request):
        asked.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.run.plan.plan", plan)
    assert main(["run"]) == 130
    assert main(["run", "--rounds", "3"]) == 130
    assert main(["run", "--datasets", "cifar10"]) == 130
    demo, shorter, other = asked
    assert (demo.experiment, demo.datasets, demo.federation["rounds"]) == ("demo", ["digits"], 10)
    assert demo.methods == arguments.MAIN_METHODS.split(",")
    assert (shorter.experiment, shorter.federation["rounds"], shorter.federation["batch_size"]) == ("demo", "3", 16)
    assert (other.experiment, other.federation) == ("default", {})


def test_a_report_can_be_written_again(done, capsys):
    page = done / "reports" / "default" / "report.md"
    before = page.read_text()
    page.unlink()
    assert main(["report"]) == 0
    assert page.read_text() == before
    assert main(["report", "--experiment", "default", "--target", "tiny=30"]) == 0
    assert "MB to 30 %" in page.read_text()


@pytest.mark.parametrize("what", ["methods", "datasets", "models", "partitions", "presets"])
def test_lists(what, capsys):
    assert main(["list", what, "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert all(entry["name"] and entry["description"] for entry in entries)
    assert main(["list", what]) == 0
    shown = capsys.readouterr().out
    assert all(entry["name"] in shown and entry["description"] in shown for entry in entries)


def test_list_alone_lists_what_it_can_list(capsys):
    assert main(["list", "--json"]) == 0
    kinds = [entry["name"] for entry in json.loads(capsys.readouterr().out)]
    assert "methods" in kinds
    assert all(main(["list", kind]) == 0 for kind in kinds)


def test_list_partitions_shows_shifts(capsys):
    main(["list", "partitions"])
    shown = capsys.readouterr().out
    assert "\n+rotated " in shown and "\nnatural " in shown


def test_line_ups_of_one_s_own_and_of_the_catalogue_in_one_experiment(here, capsys):
    """The hash of the file that defines one is with its runs."""
    (here / "nets.py").write_text(
        "from benchmark.api import LineUp\nfrom benchmark.models.cnn import CNNS\n"
        "LINE_UP = LineUp('mine', 'one CNN', CNNS[3:4], CNNS[4], min_size=16)\n"
    )
    words = ["run", "--datasets", "mine/tiny.npz", "--methods", "standalone", "--rounds", "1", "--clients", "2"]
    assert main([*words, "--models", "cnn5,./nets.py,nets.py+adapter=linear+width=32", "--no-report", "--json"]) == 0
    specs = [
        json.loads((Path(run["path"]) / "run.json").read_text())["specification"]
        for run in json.loads(capsys.readouterr().out)["runs"]
    ]
    assert [spec["models"] for spec in specs] == ["cnn5", "mine", "mine+adapter=linear+width=32"]
    digest = hashlib.sha256(Path("nets.py").read_bytes()).hexdigest()[:16]
    assert [spec.get("models_hash") for spec in specs] == [None, digest, digest]
    assert main(["verify"]) == 0
    capsys.readouterr()
    assert main([*words, "--models", "nets.py,./nets.py"]) == 2
    assert "models: mine stands twice in the request" in capsys.readouterr().err


def test_a_partition_and_its_shift_have_indices_in_common_and_nothing_else(here, capsys):
    words = ["run", "--datasets", "mine/tiny.npz", "--methods", "standalone", "--rounds", "1", "--clients", "3"]
    assert main([*words, "--partition", "iid,iid+rotated", "--json", "--no-report"]) == 0
    plain, shifted = (
        json.loads((Path(run["path"]) / "run.json").read_text()) for run in json.loads(capsys.readouterr().out)["runs"]
    )
    assert [run["specification"]["partition"] for run in (plain, shifted)] == ["iid", "iid+rotated"]
    assert plain["partition"] == shifted["partition"]
    assert plain["key"] != shifted["key"]
    assert plain["weights_hash"] != shifted["weights_hash"]
    assert main(["verify"]) == 0


def test_list_methods_shows_hyperparameters(capsys):
    main(["list", "methods"])
    assert "gate_width=64" in capsys.readouterr().out


def test_doctor_says_what_there_is(here, capsys):
    assert main(["doctor", "--data", "mine"]) == 0
    out = capsys.readouterr().out
    for needed in ("python", "torch", "device", "sgemm", "data"):
        assert needed in out


def test_help_names_defaults(capsys):
    assert main(["run", "--help"]) == 0
    out = capsys.readouterr().out
    for needed in ("[0.01]", "[64]", "[100]", "[cnn5]", "--augmentation", "--validation"):
        assert needed in out


BAD = {
    "method": (["--methods", "fedmo"], "unknown method 'fedmo'; did you mean 'fedmoe'?"),
    "hyper-parameter": (["--methods", "fml+alpa=1"], "unknown hyper-parameter of fml 'alpa'; did you mean 'alpha'?"),
    "data set": (["--datasets", "cifar1O"], "unknown data set 'cifar1O'; did you mean 'cifar10'?"),
    "line-up": (["--models", "cnn55"], "unknown line-up of models 'cnn55'; did you mean 'cnn5'?"),
    "preset": (["--preset", "dmo"], "unknown preset 'dmo'; did you mean 'demo'?"),
    "partition": (["--partition", "dirichle:1"], "unknown partition 'dirichle'; did you mean 'dirichlet'?"),
    "no participation": (["--participation", "0"], "--participation should be greater than 0, not 0"),
    "too much participation": (
        ["--participation", "1.5"],
        "--participation should be less than or equal to 1, not 1.5",
    ),
    "too many classes": (["--partition", "pathological:4"], "pathological:4 is more classes per client than the 3"),
    "an empty client": (["--clients", "61", "--partition", "iid"], "leaves clients empty: it has 60 samples"),
    "batch size": (["--batch-size", "0"], "--batch-size should be greater than or equal to 2, not '0'"),
    "rate": (["--lr", "-0.1"], "--lr should be greater than 0, not '-0.1'"),
    "rate that is no number": (["--lr", "fast"], "--lr should be a valid number, not 'fast'"),
    "momentum": (["--momentum", "1"], "--momentum should be less than 1, not '1'"),
    "rounds": (["--rounds", "2.5"], "--rounds should be a valid integer, not '2.5'"),
    "augmentation": (["--augmentation", "labs"], "--augmentation should be 'none' or 'lab', not 'labs'"),
    "clients": (["--clients", "ten"], "--clients should be whole numbers, not 'ten'"),
    "seed": (["--seeds", "-1"], "a seed is at least 0 and below 2^63, not -1"),
    "twice": (["--seeds", "1,1"], "seeds: 1 stands twice in the request"),
    "empty name": (["--methods", "fml,"], "--methods 'fml,' has an empty name in it"),
    "results": (["--results", "mine/tiny.npz/below"], "can't be written"),
    "reports": (["--reports", "mine/tiny.npz/below"], "can't be written"),
    "two of one name": (["--datasets", "mine/tiny.npz,mine/../mine/tiny.npz"], "datasets: tiny stands twice"),
    "no data": (["--datasets", "mine/x.npy"], "mine/x.npy is no data set; a data set is a name, an .npz file"),
    "no experiment": (["--experiment", ""], "--experiment '' can't name a folder"),
    "experiment": (["--experiment", "a/b"], "--experiment 'a/b' can't name a folder"),
    "device": (["--device", "cuda:9"], "there is no device 'cuda:9' here; there are: auto, cpu"),
    "option": (["--epochs", "3"], "No such option '--epochs'"),
    "widths": (
        ["--methods", "fedproto", "--models", "vision4-native"],
        "fedproto can't use the line-up vision4-native",
    ),
    "experts": (["--methods", "fedmoe", "--models", "vision4-native"], "fedmoe can't use the line-up vision4-native"),
    "headers": (
        ["--methods", "lg-fedavg", "--models", "vision4-native"],
        "differs between resnet18 and mobilenet_v2; +adapter=linear after its name gives all the width 512",
    ),
    "one network": (
        ["--methods", "standalone,fedavg", "--models", "cnn5"],
        "it shares the extractor, which differs between cnn-1 and cnn-2; choose another line-up, see `list models`",
    ),
    "no such file": (["--datasets", "mine/tony.npz"], "there is no file or folder mine/tony.npz"),
    "damaged file": (["--datasets", "mine/bad.npz"], "mine/bad.npz can't be read: it is damaged or no .npz file"),
    "wrong keys": (["--datasets", "mine/keys.npz"], "mine/keys.npz has no y_train, x_test, y_test, it has x_train"),
    "object array": (["--datasets", "mine/object.npz"], "mine/object.npz can't be read: it holds an object array"),
    "small images": (
        ["--datasets", "mine/small.npz"],
        "cnn5 needs images of at least 16 pixels a side, those of small have 8",
    ),
}


@pytest.mark.parametrize("words, message", BAD.values(), ids=BAD.keys())
def test_a_wrong_request_is_one_line_and_touches_nothing(done, capsys, monkeypatch, words, message):
    (done / "mine" / "bad.npz").write_bytes(b"PK not really")
    np.save(done / "mine" / "x.npy", np.zeros(1))
    np.savez(done / "mine" / "keys.npz", x_train=np.zeros(1))
    np.savez(done / "mine" / "object.npz", **dict.fromkeys(["x_train", "y_train", "x_test", "y_test"], np.array([{}])))
    small = {f"x_{s}": np.zeros((40, 8, 8), np.uint8) for s in ("train", "test")}
    np.savez(done / "mine" / "small.npz", **small, y_train=np.arange(40) % 3, y_test=np.arange(40) % 3)
    monkeypatch.setattr(runner, "Federation", None)  # nothing may train
    before = files(done)
    request = ["run", "--datasets", "mine/tiny.npz", "--partition", "iid", "--force", *words]
    assert main(request) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert files(done) == before


@pytest.mark.parametrize(
    "words, message",
    [
        (["report", "--experiment", "nope"], "there is no experiment 'nope' in results"),
        (["report", "--results", "nowhere"], "there are no results in nowhere"),
        (["report", "--target", "0"], "--target is above 0 and at most 100 percent, not 0"),
        (["report", "--target", "tiny=high"], "--target should be numbers, not 'high'"),
        (["list", "colours"], "'colours' is not one of 'methods', 'datasets'"),
        (["rum"], "unknown command 'rum'; did you mean 'run'?"),
    ],
)
def test_other_wrong_requests(done, capsys, words, message):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_data_folder_that_can_t_be_written(here, capsys):
    (here / "data").write_text("a file")
    assert main(["run"]) == 2
    assert "error: " in capsys.readouterr().err


def test_full_precision_goes_without_saying_and_bf16_is_another_run():
    """Results from before there was a choice keep their keys."""

    def spec(**precision):
        method = {"name": "fml", "label": "fml", "hyperparameters": {}}
        given = {"dataset": "d", "data_hash": "h", "method": method, "partition": "iid", "models": "cnn5", "seed": 0}
        return RunSpec(**given, federation=FederationConfig(**precision))

    assert "precision" not in spec().model_dump()["federation"]
    assert spec(precision="bf16").model_dump()["federation"]["precision"] == "bf16"
    assert spec(precision="fp32").key == spec().key != spec(precision="bf16").key


def test_a_group_without_a_command_is_one_line(capsys):
    assert main(["partition"]) == 2
    said = capsys.readouterr().err
    assert said == "error: name a command of python -m benchmark partition: export, show\n"


def test_help_says_which_words_an_option_takes(capsys):
    assert main(["run", "--help"]) == 0
    said = capsys.readouterr().out
    for option in ("--initial own|shared", "--message-layout own|fixed", "--dp-noise local|central"):
        assert option in said


def test_a_folder_above_results_is_told_from_them(done, capsys):
    assert main(["verify", "--results", "."]) == 2
    assert capsys.readouterr().err == "error: . is no folder of results; did you mean results?\n"


def test_a_forecast_says_that_it_leaves_an_audit_out(here, capsys):
    words = ["run", "--datasets", "mine/tiny.npz", *QUICK, "--dry-run"]
    assert main(words) == 0
    assert "audit" not in capsys.readouterr().err
    assert main([*words, "--audit", "privacy:small"]) == 0
    assert "what an audit takes is left out of these seconds" in capsys.readouterr().err
