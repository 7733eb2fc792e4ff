# `make demo` and `make test` need only Python 3.11 or newer, make and a package index.
PYTHON ?= python3
BIN := .venv/bin

# Allowed excess of a timing over the baseline, in percent; docs/performance.md says why.
TIME ?= 25
TIMINGS := pytest tests/perf/timings --import-mode=importlib -o addopts= --benchmark-disable-gc --benchmark-json
NEW := .benchmarks

.PHONY: demo test coverage mutants lint docs perf perf-timings perf-limits perf-gpu perf-baseline reference fuzz faults clean

demo: .venv/.run
	$(BIN)/python -m benchmark run

test: .venv/.test
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

coverage: .venv/.coverage          # the same, and which branches of benchmark/ it takes: 92 % at least
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal --cov --cov-report=term

mutants: .venv/.mutants            # is a changed line of what computes results noticed by the tests? 20 minutes
	$(BIN)/mutmut run --max-children $(or $(CHILDREN),1)
	$(BIN)/mutmut results

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/.docs                  # the site, in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

perf:                              # slow, and needs an otherwise idle machine
	$(MAKE) --keep-going perf-timings perf-limits

perf-timings: .venv/.test          # has anything become slower than tests/perf/baseline.json?
	@mkdir -p $(NEW)
	$(BIN)/python -m $(TIMINGS) $(NEW)/perf.json
	$(BIN)/python -m benchmark compare tests/perf/baseline.json $(NEW)/perf.json --time $(TIME)

perf-limits: .venv/.test           # does it reach the limits of docs/performance.md on this machine?
	$(BIN)/python -m pytest tests/perf/limits --import-mode=importlib -o addopts= -s

# How fast the engines, and several runs at once, are on a GPU. Without .venv, by the python3 that is there: a machine that
# reaches no package index needs only torch, pytest and pydantic.
perf-gpu:
	$(or $(wildcard $(BIN)/python),python3) -m pytest tests/benchmark/engine tests/perf/gpu --import-mode=importlib -o addopts= -s

perf-baseline: .venv/.test         # three runs: a new baseline, a point of the history, the curves
	@mkdir -p $(NEW)
	for i in 1 2 3; do $(BIN)/python -m $(TIMINGS) $(NEW)/perf-$$i.json || exit 1; done
	$(BIN)/python tests/perf/history.py --baseline $(NEW)/perf-1.json $(NEW)/perf-2.json $(NEW)/perf-3.json

reference: .venv/.run              # what stored results on CIFAR lack; ARGS=--dry-run: what is left, and for how long
	$(BIN)/python -m tools.reference $(ARGS)

fuzz: .venv/.test                  # 3,000 inputs that nobody would give; a table of what became of them
	MHPFL_INPUTS=$(or $(INPUTS),3000) $(BIN)/python -m pytest tests/campaigns/test_fuzz.py

faults: .venv/.test                # 200 kills, damages, full disks, links, clocks and neighbours; a table of the same kind
	MHPFL_FAULTS=$(or $(FAULTS),200) $(BIN)/python -m pytest tests/campaigns/test_faults.py

clean:
	rm -rf .venv

# One stamp per set of dependencies; a stamp is stale when pyproject.toml is newer.
.venv/.run: EXTRA =
.venv/.test: EXTRA = [test]
.venv/.dev: EXTRA = [test,dev]
.venv/.docs: EXTRA = [docs]
.venv/.coverage: EXTRA = [test,coverage]
.venv/.mutants: EXTRA = [test,mutants]
.venv/.%: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(EXTRA)'
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer, found " + sys.version.split()[0] + "; say make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
