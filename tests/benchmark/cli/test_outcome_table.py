"""The table at the end of `run`: a row per method with mean, interval and difference, all worked out by hand."""

from pathlib import Path

import pytest
from rich.console import Console

from benchmark.cli import tables
from benchmark.cli.outcome_table import show_outcome_tables
from benchmark.config import FederationConfig, MethodSpec, RunSpec
from benchmark.run.runner import Outcome


def outcome(label, seed, accuracy, status="done", download=None, partition="iid", sent=1_000_000):
    spec = RunSpec(
        dataset="digits",
        data_hash="d" * 16,
        method=MethodSpec(name=label, label=label, hyperparameters={}),
        partition=partition,
        models="cnn5",
        federation=FederationConfig(),
        seed=seed,
    )
    summary = {
        "accuracy_mean": accuracy,
        "accuracy_mean_post_download": download,
        "bytes_up": sent,
        "bytes_down": sent,
        "client_flops": 3 * 10**12,
        "client_seconds": 2.0,
    }
    return Outcome(spec, Path("nowhere"), status, None, summary)


@pytest.fixture
def shown(capsys):
    """Print tables; return their lines as lists of cells, which two blanks divide."""

    def show(outcomes):
        show_outcome_tables(outcomes)
        return [[cell for cell in line.split("  ") if cell] for line in capsys.readouterr().out.splitlines()]

    return show


def row(lines, label):
    (found,) = (line for line in lines if line and line[0].strip() == label)
    return [cell.strip() for cell in found[1:]]


def test_a_row_per_method_with_interval_and_difference(shown):
    """Differences 9, 10, 11: s = 1, half width 4.303 / sqrt 3 = 2.48; p = 0.003. The accuracies 59, 61, 63: s = 2."""
    rows = [outcome("standalone", seed, 50 + seed) for seed in range(3)]
    rows += [outcome("fedmoe", seed, 59 + 2 * seed) for seed in range(3)]
    lines = shown(rows)
    assert row(lines, "fedmoe") == ["3", "61.00 ± 4.97", "+10.00 ± 2.48 †", "–", "–", "2", "3", "2", "done"]
    assert row(lines, "standalone")[:3] == ["3", "51.00 ± 2.48", "–"]


def test_a_variant_more_does_not_move_the_mark_of_a_method(shown):
    """Gains 1, 2, 3: t = 2 sqrt 3 = 3.46, p = 0.074; 5, 6, 7: t = 10.4, p = 0.009, and 0.018 with a second method.

    Were the six variants of its family, 0.009 x 8 = 0.07 would be no mark.
    """
    rows = [outcome(label, seed, 50 + gain + seed) for seed in range(3) for label, gain in (("fml", 1), ("fd", 5))]
    rows += [outcome("standalone", seed, 50) for seed in range(3)]
    rows += [outcome(f"fml+x={i}", seed, 51 + seed) for seed in range(3) for i in range(6)]
    lines = shown(rows)
    assert [row(lines, label)[2].endswith("†") for label in ("fd", "fml", "fml+x=0")] == [True, False, False]


def test_one_seed_has_no_interval_and_each_moment_its_difference(shown):
    lines = shown([outcome("standalone", 0, 50.0, download=50.0), outcome("fml", 0, 52.5, download=40.0)])
    assert row(lines, "fml")[:5] == ["1", "52.50", "+2.50", "40.00", "-10.00"]
    assert "one seed, so no interval and no test" in " ".join(cell.strip() for line in lines for cell in line)


def test_a_method_that_equals_the_reference_differs_by_nothing(shown):
    lines = shown([outcome("standalone", 0, 50.0), outcome("fml", 0, 50.0)])
    assert row(lines, "fml")[2] == "+0.00"


def test_a_method_with_a_failed_run_has_no_mean(shown):
    rows = [outcome("standalone", 0, 50.0), outcome("standalone", 1, 51.0)]
    rows += [outcome("fml", 0, 60.0), outcome("fml", 1, 10.0, status="failed")]
    assert row(shown(rows), "fml") == ["1", "–", "–", "–", "–", "2", "3", "2", "1 done, 1 failed"]


def test_nothing_is_paired_without_the_reference(shown):
    assert row(shown([outcome("fml", 0, 60.0)]), "fml")[1:3] == ["60.00", "–"]


def test_a_table_for_each_comparison(shown):
    lines = shown([outcome("fml", 0, 60.0), outcome("fml", 0, 70.0, partition="pathological:2")])
    titles = [line[0].strip() for line in lines if line and line[0].startswith("partition")]
    assert titles == ["partition iid", "partition pathological:2"]


@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_number_is_cut_on_a_narrow_terminal(width, capsys, monkeypatch):
    monkeypatch.setattr(tables, "console", lambda: Console(width=width))
    show_outcome_tables([outcome("standalone", 0, 50.0), outcome("fedmoe", 0, 61.25)])
    said = capsys.readouterr().out
    assert {"standalone", "fedmoe", "50.00", "+11.25", "done"} <= {*said.split()}
    assert "…" not in said
