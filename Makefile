# lineguard: `make demo` and `make test` are all a newcomer needs. Both set up .venv first.
PYTHON ?= python3.10
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test test-fast board-test static check format bench lock clean
help:
	@echo "make setup      .venv from the lock file, and the models (1 to 2 minutes, once)"
	@echo "make demo       parts pass a simulated camera, each is read and judged"
	@echo "make test       every test"
	@echo "make test-fast  the tests that take no more than a few seconds"
	@echo "make board-test an image of a box is made, started, cut off its power and flashed, emulated"
	@echo "make check      format, lint, types, import rules, tests"
	@echo "make bench      measure again what docs/benchmarks.md holds"

setup: $(VENV)/.ready

$(VENV)/.ready: locks/dev.txt pyproject.toml models/zoo.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' || { \
	  echo "lineguard's host needs Python 3.10 (the newest that Paddle Lite has wheels for)." >&2; \
	  echo "Install python3.10 with its venv module, or say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3.10" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r locks/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/lineguard models fetch
	@touch $@

demo: setup
	$(BIN)/lineguard demo

test: setup
	$(BIN)/python -m pytest

test-fast: setup
	$(BIN)/python -m pytest -m "not slow"

board-test: setup
	$(BIN)/python -m pytest tests/board/image_boots.py -s

static: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: static test

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m tools.bench $(BENCH_ARGS)

lock:
	locks/lock.sh

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
