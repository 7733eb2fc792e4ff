"""Bad days: a run is killed, its files are damaged, the disk fills up, others write where it writes.

Each fault hits a small grid in a process of its own, at a moment or a place drawn at random. Then the same command is
given again. It ends as if nothing had been, to the bit, or says in one line what is wrong, and --force ends so; what
had been stored is there, files elsewhere are what they were, nothing hangs.

MHPFL_FAULTS=200 python -m pytest tests/campaigns/test_faults.py        the full form, `make faults`
"""

import contextlib
import io
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from functools import partial
from pathlib import Path

import pytest

from benchmark.storage.run_folder import run_folders
from benchmark.storage.verify import verify

if sys.platform == "win32":
    pytest.skip("processes are forked", allow_module_level=True)

FAULTS = int(os.environ.get("MHPFL_FAULTS", "7"))
SEED = int(os.environ.get("MHPFL_FAULT_SEED", "0"))
GRID = ["run", "--datasets", "tiny.npz", "--rounds", "4", "--clients", "3", "--partition", "iid", "--batch-size", "8"]
GRID += [
    "--methods",
    "fedproto,standalone",
    "--models",
    "cnn1",
    "--no-report",
    "--checkpoint-every",
    "0",
    "--threads",
    "1",
]
LONGEST_SECONDS = 120
FORK = multiprocessing.get_context("fork")


def attempt(words, prepare=lambda: None):
    """Give a command in a forked process; the process, and a function that waits: -> (exit code, what it said)."""
    ours, theirs = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_command, args=(words, prepare, theirs), daemon=True)
    child.start()
    theirs.close()

    def end():
        said = ""
        with contextlib.suppress(EOFError):
            if ours.poll(LONGEST_SECONDS):
                said = ours.recv()
        child.join(5)
        hangs = child.is_alive()
        if hangs:
            child.kill()
        child.join()
        return ("hangs" if hangs else child.exitcode), said

    return child, end


def _command(words, prepare, pipe):
    """The forked process: one thread, its own streams, no report of the time that a matrix product takes."""
    from benchmark.cli.commands import main
    from benchmark.run import runner

    runner.matrix_product_rate = lambda *_, **__: 1e11
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    said = io.StringIO()
    prepare()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(words)
        except BaseException:
            traceback.print_exc(file=said)
            code = 99
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    pipe.send(said.getvalue())
    pipe.close()
    os._exit(code)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, write_data, contents):
    """(A folder with the data and the results of a grid that nothing befell, those results, the seconds they take.)"""
    import torch

    torch.set_num_threads(1)
    _warm_up(tmp_path_factory.mktemp("warm"), write_data)
    folder = tmp_path_factory.mktemp("whole")
    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        begun = time.monotonic()
        code, said = attempt(GRID)[1]()
        assert code == 0, said
    return folder, contents(folder / "results"), time.monotonic() - begun


def _warm_up(folder, write_data):
    """Import what a run imports before anything is forked: it is most of what a small one costs."""
    from benchmark.cli.commands import main

    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(GRID) == 0


class Fault:
    """One fault in a folder of its own; draw: its random numbers."""

    def __init__(self, folder, whole, draw):
        self.folder, self.draw = folder, draw
        self.before, self.expected, self.seconds = whole
        self.outside = {}

    def run(self, *words, prepare=lambda: None):
        """Give the grid's command to the end."""
        return attempt([*GRID, *words], prepare)[1]()

    def interrupted(self, by=signal.SIGKILL):
        """Give the grid's command and end it at a random moment."""
        child, end = attempt(GRID)
        time.sleep(self.seconds * self.draw.uniform(0.05, 1.0))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, by)
        return end()

    def finished(self):
        """Have the results of a grid that nothing befell."""
        shutil.copytree(self.before / "results", self.folder / "results")

    def victim(self, *patterns):
        """A file of some run, drawn at random; None if there is none."""
        found = sorted(p for pattern in patterns for p in (self.folder / "results").glob(f"*/*/*/*/{pattern}"))
        return self.draw.choice(found) if found else None

    def foreign(self, content):
        """A file elsewhere, which has to stay what it is."""
        path = self.folder / f"elsewhere-{len(self.outside)}"
        path.write_bytes(content)
        self.outside[path] = content
        return path


FILES = ("run.json", "rounds.jsonl", "checkpoint.json", "checkpoint.*.tensors")


def cut(fault, path):
    content = path.read_bytes()
    path.write_bytes(content[: fault.draw.randrange(len(content) + 1)])


def flip(fault, path):
    content = bytearray(path.read_bytes() or b"0")
    for _ in range(fault.draw.choice([1, 1, 8])):
        content[fault.draw.randrange(len(content))] ^= 1 << fault.draw.randrange(8)
    path.write_bytes(content)


def link(fault, path):
    elsewhere = fault.foreign(path.read_bytes())
    path.unlink()
    path.symlink_to(elsewhere)


def hard_link(fault, path):
    elsewhere = fault.foreign(path.read_bytes())
    path.unlink()
    os.link(elsewhere, path)


def broken_link(fault, path):
    path.unlink()
    path.symlink_to(fault.folder / "nowhere")


def pipe(fault, path):
    path.unlink()
    os.mkfifo(path)


def replaced_by_folder(fault, path):
    path.unlink()
    path.mkdir()


def vanished(fault, path):
    path.unlink()


def exchanged(fault, path):
    """The file of another run lies in its place."""
    others = [p for p in path.parents[2].glob(f"*/*/{path.name}") if p != path]
    if others:
        path.write_bytes(fault.draw.choice(others).read_bytes())


def damaged_and_resumed(damage, fault):
    """Killed, then damaged, then started again."""
    fault.interrupted()
    if path := fault.victim(*FILES):
        damage(fault, path)


def damaged_at_rest(damage, fault):
    """Damaged when all was done: `verify` sees it before anything is repaired."""
    fault.finished()
    path = fault.victim("run.json", "rounds.jsonl")
    damage(fault, path)
    same = path.is_file() and path.read_bytes() == (fault.before / path.relative_to(fault.folder)).read_bytes()
    if not same or path.is_symlink():
        code, said = attempt(["verify"])[1]()
        assert "Traceback" not in said, said
        assert code == 1 or (code == 0 and path.is_file() and not path.is_symlink()), (code, said)


def killed(fault):
    for _ in range(fault.draw.choice([1, 1, 2, 3])):
        fault.interrupted(
            fault.draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
        )


def killed_at_a_write(fault):
    """At any of the writes, renames and removals, after half of it or none."""
    left = fault.draw.randrange(120)

    def prepare():
        from benchmark.storage import files

        def mortal(act):
            def acts(*words, **more):
                nonlocal left
                left -= 1
                return act(*words, **more) if left >= 0 else os._exit(9)

            return acts

        files.flush = mortal(files.flush)
        Path.replace, Path.unlink = mortal(Path.replace), mortal(Path.unlink)

    fault.run(prepare=prepare)


def disk_full(fault):
    """No file may be larger than some bytes: writes fail in their middle."""
    most = fault.draw.choice([0, 300, 3000, 20_000, 2_000_000, 4_000_000])
    code, said = fault.run(prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY)))
    assert code in (0, 1, 2), (code, said)
    assert "Traceback" not in said, said


def few_descriptors(fault):
    most = fault.draw.randrange(8, 40)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _, said = fault.run(prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard)))
    assert "Traceback" not in said or most < 20, said


def at_the_same_time(fault):
    """Two or three processes on one grid, one of which may be killed."""
    started = [attempt(GRID) for _ in range(fault.draw.choice([2, 3]))]
    if fault.draw.random() < 0.5:
        time.sleep(fault.seconds * fault.draw.random())
        with contextlib.suppress(ProcessLookupError):
            os.kill(started[0][0].pid, signal.SIGKILL)
    for _, end in started:
        code, said = end()
        assert code in (0, -signal.SIGKILL), (code, said)


def watched(fault):
    """`verify` again and again beside a run sees nothing wrong."""
    child, end = attempt(GRID)
    while child.is_alive():
        findings, _ = verify(fault.folder / "results")
        if findings and not any("rounds of 4" in finding.problem for finding in findings):
            raise AssertionError(findings)
    assert end()[0] == 0


def meddled(fault):
    """While it runs, one of its files is changed or removed."""
    _, end = attempt(GRID)
    time.sleep(fault.seconds * fault.draw.uniform(0.2, 0.9))
    if path := fault.victim("rounds.jsonl"):
        with contextlib.suppress(OSError):
            fault.draw.choice([cut, vanished, flip])(fault, path)
    end()


def clock(fault):
    """The clock goes back by days in the middle, or stands still."""
    from benchmark.run import plan, run_log, runner

    still = fault.draw.random() < 0.5
    times = iter(range(10**6))

    def prepare():
        for module in (plan, run_log, runner):
            module.now = lambda: f"2026-01-{1 if still else 28 - next(times) % 28:02d}T00:00:00.000+00:00"
        if still:
            runner.perf_counter = time.monotonic = time.perf_counter = lambda: 1.0

    code, said = fault.run(prepare=prepare)
    assert code == 0, said


def littered(fault):
    """Folders and files that nobody expects lie in the folders of runs."""
    fault.interrupted()
    for path in {p.parent for p in (fault.folder / "results").glob("*/*/*/*/*")}:
        for name in ("x.tmp", "checkpoint.odd.tensors", "a.npz"):
            (path / name).mkdir(exist_ok=True)
        (path / "notes.txt").write_text("mine")


DAMAGES = (cut, flip, link, hard_link, broken_link, pipe, replaced_by_folder, vanished, exchanged)
FAULTY = {
    "kill at a write": killed_at_a_write,
    "disk full": disk_full,
    "verify beside a run": watched,
    "killed, then link": partial(damaged_and_resumed, link),
    "killed, then flip": partial(damaged_and_resumed, flip),
    "done, then cut": partial(damaged_at_rest, cut),
    "litter": littered,
    "kill": killed,
    "few descriptors": few_descriptors,
    "concurrent writers": at_the_same_time,
    "files changed while it runs": meddled,
    "clock": clock,
    **{f"killed, then {d.__name__}".replace("_", " "): partial(damaged_and_resumed, d) for d in DAMAGES},
    **{f"done, then {d.__name__}".replace("_", " "): partial(damaged_at_rest, d) for d in (cut, flip, link, pipe)},
}


def settled(fault, contents):
    """Give the command again, with --force if it refuses; return the outcome."""
    code, said = fault.run()
    assert "Traceback" not in said, said
    outcome = "worked"
    if code in (1, 2):
        assert any(line.startswith("error: ") for line in said.splitlines()), said
        outcome = "answered"
        code, said = fault.run("--force")
    if code == 1 and "can't be written" in said:  # a folder in the place of a file: users have to remove it
        for path in (fault.folder / "results").glob("*/*/*/*/*"):
            if path.is_dir():
                path.rmdir()
        code, said = fault.run("--force")
    assert code == 0, (code, said)
    ours = {
        f"{folder.path.relative_to(fault.folder / 'results')}/{name}"
        for folder in run_folders(fault.folder / "results")
        for name in ("run.json", "rounds.jsonl")
    }
    found = {name: content for name, content in readable(fault, contents).items() if name in ours}
    assert found == fault.expected
    for path, content in fault.outside.items():
        assert path.read_bytes() == content, "a file elsewhere was written"
    findings = [
        f
        for f in verify(fault.folder / "results")[0]
        if "does not belong" not in f.problem and "is left of" not in f.problem
    ]
    assert not findings, findings
    return outcome


def readable(fault, contents):
    """The contents of results, without litter."""
    for path in (fault.folder / "results").rglob("notes.txt"):
        path.unlink()
    return contents(fault.folder / "results")


@pytest.mark.parametrize("kind", [*FAULTY][:FAULTS])
def test_faults(tmp_path, monkeypatch, whole, contents, tally, kind):
    number = [*FAULTY].index(kind)
    for i in range(number, FAULTS, len(FAULTY)):
        folder = tmp_path / str(i)
        folder.mkdir()
        shutil.copy(whole[0] / "tiny.npz", folder)
        monkeypatch.chdir(folder)
        fault = Fault(folder, whole, random.Random(f"{SEED} {kind} {i}"))
        try:
            FAULTY[kind](fault)
            tally(kind, settled(fault, contents))
        except BaseException:
            tally(kind, "wrong")
            print(f"fault {i} of seed {SEED}, {kind}, in {folder}")
            raise
        shutil.rmtree(folder)
