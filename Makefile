# `make demo` and `make test` need Python 3.11 or newer, make and a package index, and nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint perf clean

demo: .venv/.run
	$(BIN)/python -m benchmark run

test: .venv/.test
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

perf: .venv/.test                  # slow, and wants an otherwise idle machine
	$(BIN)/python -m pytest tests/perf --import-mode=importlib -o addopts= --benchmark-disable-gc -s

clean:
	rm -rf .venv

# One stamp per set of dependencies; a stamp is stale when pyproject.toml is newer.
.venv/.run: EXTRA =
.venv/.test: EXTRA = [test]
.venv/.dev: EXTRA = [test,dev]
.venv/.%: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(EXTRA)'
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or newer, found " + sys.version.split()[0] + "; say make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
