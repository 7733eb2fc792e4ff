"""What a method's file may look like: short, and nothing that another has too."""

from itertools import combinations
from statistics import median

from benchmark.plugins import registry

RUN = 6
FILES = {name: path.read_text().splitlines() for name, path in registry.catalogue("methods").items()}


def test_no_file_is_long():
    lengths = {name: len(lines) for name, lines in FILES.items()}
    assert {name: n for name, n in lengths.items() if n > 150} == {}
    assert median(lengths.values()) < 90


def test_no_run_of_six_lines_stands_in_two_files():
    runs = {}
    for name, lines in FILES.items():
        filled = [line.strip() for line in lines if line.strip() and not line.startswith(("import ", "from "))]
        runs[name] = {tuple(filled[i : i + RUN]) for i in range(len(filled) - RUN + 1)}
    shared = {(a, b): runs[a] & runs[b] for a, b in combinations(runs, 2)}
    assert {pair: found for pair, found in shared.items() if found} == {}
