"""An interrupted grid goes on where it stopped and ends as if nothing had happened.

MHPFL_KILLS=20 python -m pytest tests/benchmark/run/test_resume.py -k sigkill      the demo grid, killed 20 times
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.cli.commands import main
from benchmark.errors import StorageError, Terminated
from benchmark.federation import Federation
from benchmark.run import runner
from benchmark.storage import files, run_folder
from benchmark.storage.run_folder import RunFolder
from benchmark.storage.verify import verify

ROOT = Path(__file__).parents[3]
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}  # as many threads as the tests have: sums depend on it in their last bits
KILLS = int(os.environ.get("MHPFL_KILLS", "0"))
TINY = ["run", "--datasets", "tiny.npz", "--rounds", "3", "--clients", "4", "--partition", "iid", "--batch-size", "8"]
TINY += ["--participation", "0.5", "--no-report", "--checkpoint-every", "0"]


@pytest.fixture(scope="module")
def never_interrupted(tmp_path_factory, write_data, contents):
    """What a small grid leaves."""
    folder = tmp_path_factory.mktemp("whole")
    write_data(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        assert main([*TINY, "--methods", "fedproto,fedmoe", "--models", "cnn1"]) == 0
    return contents(folder / "results")


@pytest.fixture
def here(tmp_path, monkeypatch, write_data):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path


def grid(*more):
    return main([*TINY, "--methods", "fedproto,fedmoe", "--models", "cnn1", *more])


class Killed(Terminated):
    """What nothing handles."""


class Life:
    """Dies at the n-th thing that is done to the disk; the dead do nothing more."""

    def __init__(self, monkeypatch, until):
        self.left = until
        for where, name in [(files, "flush"), (Path, "replace"), (Path, "unlink")]:
            monkeypatch.setattr(where, name, self.mortal(getattr(where, name)))

    def mortal(self, act):
        def acts(*words, **more):
            self.left -= 1
            if self.left < 0:
                raise Killed
            return act(*words, **more)

        return acts


def test_cut_off_at_any_write_it_goes_on(here, monkeypatch, contents):
    """At every other one from the first to the last, or at every single one where MHPFL_KILLS asks for more."""
    small = ("--methods", "fedproto", "--clients", "2", "--rounds", "2")
    assert grid(*small) == 0
    whole, until, survived = contents(here / "results"), 0, False
    while not survived:
        shutil.rmtree(here / "results")
        with monkeypatch.context() as patch:
            Life(patch, until)
            with contextlib.suppress(Killed):
                survived = grid(*small) == 0
        if not survived:
            assert grid(*small) == 0
        assert contents(here / "results") == whole
        assert verify(here / "results") == ([], 1)
        until += 1 if KILLS else 2
    assert until > 20


def test_an_interrupted_run_does_not_repeat_its_rounds(never_interrupted, here, monkeypatch, capsys, contents):
    rounds = []
    original = Federation.round

    def interrupted(self, t):
        rounds.append(t)
        if len(rounds) == 3:
            raise KeyboardInterrupt
        return original(self, t)

    monkeypatch.setattr(Federation, "round", interrupted)
    assert grid() == 130
    assert "without --force, goes on after the last checkpoint" in capsys.readouterr().err
    (path,) = (here / "results").glob("default/tiny/fedproto/*/run.json")
    assert json.loads(path.read_text())["status"] == "running"
    assert grid() == 0
    assert rounds == [1, 2, 3, 3, 1, 2, 3]
    assert "goes on after round 2/3" in capsys.readouterr().err
    assert contents(here / "results") == never_interrupted
    (again,) = json.loads(path.read_text())["resumed"]
    assert again["rounds_done"] == 2
    assert again["environment"]["packages"]["torch"]


def test_rounds_since_the_last_checkpoint_run_again(never_interrupted, here, monkeypatch, contents):
    """The only checkpoint is one after round 1; the run is cut off in round 3."""
    rounds, original = [], Federation.round

    def interrupted(self, t):
        rounds.append(t)
        return original(self, t) if rounds != [1, 2, 3] else interrupt()

    monkeypatch.setattr(Federation, "round", interrupted)
    monkeypatch.setattr(runner.CheckpointPace, "is_due", lambda self, t: t == 1)
    assert grid("--methods", "fedproto") == 130
    (path,) = (here / "results").glob("default/tiny/fedproto/*/rounds.jsonl")
    assert len(path.read_text().splitlines()) == 2
    assert grid() == 0
    assert rounds == [1, 2, 3, 2, 3, 1, 2, 3]
    assert contents(here / "results") == never_interrupted


def test_checkpoints_keep_their_distance(monkeypatch):
    """Ten rounds of four seconds each, a checkpoint of one second at most every ten: after rounds 3, 6, 9 and 10."""
    clock = [0.0]
    monkeypatch.setattr(runner, "perf_counter", lambda: clock[0])
    pace, due, expected = runner.CheckpointPace(10.0, rounds=10), [], []
    for t in range(1, 11):
        expected += [t] * pace.expects_one(t)
        clock[0] += 4
        if pace.is_due(t):
            due.append(t)
            clock[0] += 1
            pace.saved()
    assert due == [3, 6, 9, 10]
    assert expected == due
    always = runner.CheckpointPace(0.0, rounds=3)
    assert [always.is_due(t) for t in (1, 2, 3)] == [True] * 3


@pytest.mark.parametrize("damaged", ["checkpoint.json", "checkpoint.server.2.tensors", "rounds.jsonl"])
def test_a_damaged_checkpoint_begins_anew(never_interrupted, here, monkeypatch, damaged, contents):
    with monkeypatch.context() as patch:
        original = Federation.round
        patch.setattr(Federation, "round", lambda self, t: original(self, t) if t < 3 else interrupt())
        assert grid() == 130
    (path,) = (here / "results").glob(f"default/tiny/fedproto/*/{damaged}")
    path.write_bytes(path.read_bytes()[:-9])
    assert grid() == 0
    assert contents(here / "results") == never_interrupted


def interrupt():
    raise KeyboardInterrupt


def test_another_specification_is_another_run(here):
    assert grid() == 0
    assert grid("--lr", "0.02") == 0
    assert len(list((here / "results").glob("default/tiny/fedmoe/*/run.json"))) == 2


@pytest.mark.parametrize(
    "error, reason",
    [
        (MemoryError(), "out of memory: MemoryError:"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 PB"), "out of memory: RuntimeError: DefaultCPU"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
    ids=["memory", "torch's memory", "exception"],
)
def test_a_run_that_fails_is_recorded_and_goes_on_when_it_can(
    never_interrupted, here, monkeypatch, error, reason, contents
):
    original = Federation.round

    def fails(self, t):
        if t == 2 and "gate" in self.states[next(iter(self.states))]:
            raise error
        return original(self, t)

    with monkeypatch.context() as patch:
        patch.setattr(Federation, "round", fails)
        assert grid() == 1
    (path,) = (here / "results").glob("default/tiny/fedmoe/*/run.json")
    run = json.loads(path.read_text())
    assert run["status"] == "failed"
    assert run["reason"].startswith(reason)
    assert "in fails" in run["traceback"]
    assert run["summary"]["rounds_done"] == 1
    assert verify(here / "results") == ([], 2)
    assert grid() == 0
    assert contents(here / "results") == never_interrupted


def test_a_run_that_diverged_would_do_so_again(here, capsys, contents):
    assert grid("--lr", "1e30") == 1
    before = contents(here / "results")
    assert grid("--lr", "1e30") == 1
    err = capsys.readouterr().err
    assert err.count("diverged: fedmoe on tiny: the training loss of client") == 2
    assert contents(here / "results") == before
    assert verify(here / "results")[0] == []


def test_without_room_nothing_is_lost(never_interrupted, here, monkeypatch, capsys, contents):
    original, written = RunFolder.append, []

    def full(self, line):
        written.append(line)
        if len(written) == 2:
            (self.path / "rounds.jsonl").open("a").write('{"round": 2, "partic')  # as far as there was room
            with files.storing(self.path / "rounds.jsonl"):
                raise OSError(28, "No space left on device")
        original(self, line)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", full)
        assert grid() == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert "can't be written (No space left on device)" in line
    assert "the same command goes on from there" in line
    assert grid() == 0
    assert contents(here / "results") == never_interrupted


def test_a_run_that_another_process_works_on_is_left_to_it(never_interrupted, here, monkeypatch, capsys, contents):
    """It holds the claim while this process does the other run; then it dies, and its run is taken over."""
    specification = next(p for p in never_interrupted if "fedproto" in p and p.endswith("run.json"))
    folder = here / "results" / Path(specification).parent
    folder.mkdir(parents=True)
    code = """import sys, time
from pathlib import Path
from benchmark.storage.files import claim
with claim(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(60)"""
    command = [sys.executable, "-c", code, folder / "claim"]
    other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "True\n"

    def dies(seconds):
        assert list((here / "results").glob("default/tiny/fedmoe/*/run.json"))
        assert not (folder / "run.json").exists()
        other.kill()
        other.wait()

    monkeypatch.setattr(runner, "sleep", dies)
    assert grid() == 0
    assert "another process works on the last 1" in capsys.readouterr().err
    assert contents(here / "results") == never_interrupted


def test_two_processes_share_a_grid(never_interrupted, here, contents):
    command = [sys.executable, "-m", "benchmark", *TINY, "--methods", "fedproto,fedmoe", "--models", "cnn1"]
    command += ["--results", here / "results", "--force"]
    command[command.index("tiny.npz")] = here / "tiny.npz"
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, env=ALONE, **pipes) for _ in "ab"]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert contents(here / "results") == never_interrupted
    assert sum(err.count("round 3/3") for _, err in said) == 2  # each run once, by one of them


def killed_at(command, seconds):
    """Run a command, kill it after so many seconds; whether it had ended before."""
    process = subprocess.Popen(command, cwd=ROOT, env=ALONE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return process.returncode == 0
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False


def test_killed_with_sigkill_and_started_again(tmp_path, write_data, contents):
    """At random moments; between two kills there is time to start, and for rounds with and without a checkpoint."""
    write_data(tmp_path)
    moments = random.Random(int(os.environ.get("MHPFL_KILL_SEED", "0")))
    command = [sys.executable, "-m", "benchmark", *TINY, "--methods", "fedmoe,fml", "--rounds", "6"]
    command[command.index("tiny.npz")] = str(tmp_path / "tiny.npz")
    command[command.index("0")] = "0.2"
    if KILLS:
        command = [sys.executable, "-m", "benchmark", "run", "--preset", "demo", "--no-report"]
        command += ["--checkpoint-every", "1"]
    begun = time.monotonic()
    assert main([*command[3:], "--results", str(tmp_path / "whole")]) == 0
    start, whole = 6.0, time.monotonic() - begun
    command += ["--results", str(tmp_path / "killed")]
    done, kills = False, 0
    while kills < (KILLS or 2) and not done:
        done = killed_at(command, start * moments.random() + 2 * whole / (KILLS or 2) * moments.random())
        kills += not done
    assert done or killed_at(command, 600)
    print(f"{kills} kills")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert verify(tmp_path / "killed")[0] == []


NAMESPACE = ["unshare", "--map-root-user", "--mount"]


def can_mount():
    try:
        return subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_mount(), reason="a file system of 64 MB needs unshare and mount, and the right to use them")
def test_on_a_file_system_that_fills_up(tmp_path, write_data, contents):
    """Its checkpoint does not fit beside a file of 50 MB; once that is gone the run goes on."""
    small = tmp_path / "small"
    small.mkdir()
    write_data(tmp_path)
    command = [sys.executable, "-m", "benchmark", *TINY, "--methods", "fedmoe", "--clients", "8", "--rounds", "4"]
    command[command.index("tiny.npz")] = str(tmp_path / "tiny.npz")
    script = f"""
        mount -t tmpfs -o size=64m none {small}
        "$@" --results {small}/results & running=$!
        until grep -q '"round":2' {small}/results/default/tiny/fedmoe/*/rounds.jsonl; do sleep 0.05; done 2> /dev/null
        dd if=/dev/zero of={small}/filler bs=1M 2> /dev/null
        wait $running; echo "first $?"
        {sys.executable} -m benchmark verify --results {small}/results; echo "verify $?"
        rm {small}/filler
        "$@" --results {small}/results; echo "second $?"
        cp -r {small}/results {tmp_path}/kept
    """
    got = subprocess.run(
        [*NAMESPACE, "bash", "-c", script, "-", *command], cwd=ROOT, env=ALONE, capture_output=True, text=True
    )
    assert "first 1\n" in got.stdout, got
    assert "verify 0\n" in got.stdout, got
    assert "second 0\n" in got.stdout, got
    assert "can't be written (No space left on device)" in got.stderr
    assert "goes on after round" in got.stderr
    assert main([*command[3:], "--results", str(tmp_path / "whole")]) == 0
    assert contents(tmp_path / "kept") == contents(tmp_path / "whole")


def test_storage_errors_say_what_to_do(tmp_path, store):
    run = {k: v for k, v in store(tmp_path, "a", [(5, 5)]).read().items() if k not in ("schema", "digest")}
    with pytest.raises(StorageError, match=r"run.json can't be written \(No such file or directory\)"):
        RunFolder(tmp_path / "gone").write(run)


def test_force_replaces_what_can_not_be_read(here, capsys):
    """Results of an older schema, or damaged ones."""
    assert grid() == 0
    (path,) = (here / "results").glob("default/tiny/fedmoe/*/run.json")
    path.write_text('{"schema": 1}')
    assert grid() == 2
    assert "has schema 1, this version reads 2" in capsys.readouterr().err
    assert grid("--force") == 0
    assert verify(here / "results") == ([], 2)


def test_force_goes_on_with_what_is_unfinished(never_interrupted, here, monkeypatch, capsys, contents):
    with monkeypatch.context() as patch:
        original = Federation.round
        patch.setattr(Federation, "round", lambda self, t: original(self, t) if t < 3 else interrupt())
        assert grid() == 130
    assert grid("--force") == 0
    assert "goes on after round 2/3" in capsys.readouterr().err
    assert contents(here / "results") == never_interrupted


def interrupted_after(monkeypatch, rounds, *more):
    """Leave fedproto's run with so many rounds and a checkpoint; return its folder."""
    with monkeypatch.context() as patch:
        original = Federation.round
        patch.setattr(Federation, "round", lambda self, t: original(self, t) if t <= rounds else interrupt())
        assert grid("--methods", "fedproto", *more) == 130
    (path,) = Path("results").glob("default/tiny/fedproto/*/run.json")
    return path.parent


def edited(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.update(rounds_done=1),
        lambda manifest: manifest.update(clients={}),
        lambda manifest: manifest["server"].reverse(),
        lambda manifest: manifest.update(peak_memory_bytes=1),
        lambda manifest: manifest.pop("digest"),
        lambda manifest: manifest.update(record="0" * 64, digest=run_folder.digest(manifest | {"record": "0" * 64})),
    ],
    ids=["rounds", "clients", "server", "memory", "no digest", "of another run"],
)
def test_an_edited_checkpoint_begins_anew(never_interrupted, here, monkeypatch, capsys, contents, change):
    folder = interrupted_after(monkeypatch, 2)
    edited(folder / "checkpoint.json", change)
    assert grid("--methods", "fedproto") == 0
    assert "goes on after round" not in capsys.readouterr().err
    assert contents(here / "results") == {k: v for k, v in never_interrupted.items() if "fedproto" in k}


def test_rounds_that_were_edited_begin_anew(never_interrupted, here, monkeypatch, capsys, contents):
    rounds = interrupted_after(monkeypatch, 2) / "rounds.jsonl"
    rounds.write_text(rounds.read_text().replace('"train_loss":', '"train_loss":1', 1))
    assert grid("--methods", "fedproto") == 0
    assert "goes on after round" not in capsys.readouterr().err
    assert contents(here / "results") == {k: v for k, v in never_interrupted.items() if "fedproto" in k}


@pytest.mark.parametrize("what", ["removed", "cut", "replaced"])
def test_rounds_that_change_while_a_run_goes_on_are_mended(never_interrupted, here, monkeypatch, contents, what):
    original = Federation.round

    def meddled(self, t):
        for path in Path("results").glob("*/*/*/*/rounds.jsonl"):
            if t == 3 and what == "removed":
                path.unlink()
            elif t == 3:
                path.write_bytes(path.read_bytes()[:-40] if what == "cut" else b"{}\n")
        return original(self, t)

    monkeypatch.setattr(Federation, "round", meddled)
    assert grid("--methods", "fedproto") == 0
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert verify(here / "results") == ([], 1)
    assert contents(here / "results") == {k: v for k, v in never_interrupted.items() if "fedproto" in k}


@pytest.mark.parametrize("what", ["harness", "method", "threads", "engine"])
def test_going_on_under_other_conditions_is_told(here, monkeypatch, what):
    """By verify, and by the report's notes (`remarks`)."""
    interrupted_after(monkeypatch, 1)
    words = {"engine": ["--engine", "stacked"]}.get(what, [])
    if what in ("harness", "method"):
        codes = runner.code_hashes
        monkeypatch.setattr(runner, "code_hashes", lambda method: codes(method) | {what: "f" * 16})
    elif what == "threads":
        known = runner.environment
        monkeypatch.setattr(runner, "environment", lambda device: known(device) | {"threads": 99})
    assert grid("--methods", "fedproto", *words) == 0
    ((_, problem),) = verify(here / "results")[0]
    named = {"harness": "code", "method": "method's code"}.get(what, what)
    assert problem == f"it went on after round 1 with other {named}: its numbers can't be reproduced"
