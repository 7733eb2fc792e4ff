"""A pool of scripted workers: which run a worker gets after another has died, and when a run has failed."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmark.cli.arguments import request_of
from benchmark.errors import RequestError
from benchmark.run.executor import pool
from benchmark.run.plan import plan
from benchmark.storage.verify import verify

GRID = {"datasets": "tiny.npz", "partition": "iid", "models": "cnn1", "clients": "4", "rounds": "20"}
GRID |= {"batch_size": "8", "participation": "0.5"}
DEATH = ("died", "its node is gone")
THREE_DEATHS = "its node is gone; 3 workers in a row died with no new round in between"
ENDS = [("outcome", "is done")]


@dataclass
class ScriptedWorker:
    """A worker that sends the messages of a script, whatever its run; ready from its first message on."""

    request: object
    script: list
    run: object = None
    progress: object = None
    ready: bool = False

    def assign(self, run):
        self.run = run

    def messages(self):
        self.ready = True
        while self.run and self.script:
            yield self.script.pop(0)


@dataclass
class ScriptedBackend:
    """A backend of scripted workers, one at a time."""

    request: object
    scripts: list
    max_deaths: int = 3
    stopped: list = field(default_factory=list)

    def start(self, runs):
        return [ScriptedWorker(self.request, [*self.scripts.pop(0)])]

    def replace(self, dead):
        return self.start(1)[0]

    def listen(self, workers, timeout):
        assert all(worker.script for worker in workers)  # or the pool would listen for ever
        return [*workers]

    def stop(self, workers):
        self.stopped += workers


@pytest.fixture
def execute_scripts(tmp_path, monkeypatch, write_data, RecordingDisplay):
    """Execute a grid of these methods with workers that follow these scripts: (outcomes, what the display recorded)."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)

    def execute(scripts, methods):
        where = {"data": Path("data"), "results": Path("results"), "device": "cpu"}
        request = request_of(None, GRID | {"methods": methods}, None, ("run",), **where)
        backend, display = ScriptedBackend(request, scripts), RecordingDisplay()
        try:
            outcomes = pool.execute_with_workers(plan(request), request, display, backend)
        finally:
            assert len(backend.stopped) == 1
        assert not backend.scripts
        return outcomes, display.records

    return execute


def dies_after(*rounds, resumed=0):
    """The script of a worker that resumes a run after some rounds, completes these, and dies."""
    return [("start",), ("go_on", resumed), *(("round", number, None) for number in rounds), DEATH]


def test_a_run_that_goes_on_outlives_any_number_of_workers(execute_scripts):
    """Deaths count since its last new round; the next worker has it before any other run."""
    scripts = [dies_after(1), dies_after(resumed=1), dies_after(2, resumed=1), dies_after(resumed=2), ENDS]
    outcomes, records = execute_scripts(scripts, "fedmoe")
    assert outcomes == ["is done"]
    assert records["1/1 tiny fedmoe seed 0"].count("its node is gone; another goes on with it") == 4


def test_a_run_over_which_three_workers_die_in_a_row_has_failed(execute_scripts):
    before_it_began = [DEATH]
    outcomes, records = execute_scripts([dies_after(), before_it_began, dies_after(), ENDS], "fedmoe,standalone")
    assert (outcomes[0].status, outcomes[0].reason, outcomes[1]) == ("failed", THREE_DEATHS, "is done")
    assert records["1/2 tiny fedmoe seed 0"][-1] == THREE_DEATHS
    assert verify(Path("results")) == ([], 1)


def test_rounds_repeated_from_an_old_checkpoint_do_not_reset_the_count_of_deaths(execute_scripts):
    """It kills every worker in round 9 and resumes after round 5: without this it would be tried for ever."""
    again = dies_after(6, 7, 8, resumed=5)
    outcomes, records = execute_scripts([dies_after(*range(1, 9)), again, again, ENDS], "fedmoe,standalone")
    assert (outcomes[0].status, outcomes[0].reason, outcomes[1]) == ("failed", THREE_DEATHS, "is done")
    assert records["1/2 tiny fedmoe seed 0"].count("its node is gone; another goes on with it") == 2


def test_a_round_beyond_all_that_were_repeated_resets_the_count_of_deaths(execute_scripts):
    one_further = [dies_after(*range(6, last + 1), resumed=5) for last in (8, 9, 9, 10, 10)]
    outcomes, records = execute_scripts([dies_after(*range(1, 9)), *one_further, ENDS], "fedmoe")
    assert outcomes == ["is done"]
    assert records["1/1 tiny fedmoe seed 0"].count("its node is gone; another goes on with it") == 6


def test_the_error_of_a_worker_ends_the_call(execute_scripts):
    with pytest.raises(RequestError, match="no sense"):
        execute_scripts([[("error", RequestError("it makes no sense to go on"))]], "fedmoe")
