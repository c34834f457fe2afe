# Two commands do everything on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: quickstart test test-fast check bench clean

quickstart: $(VENV)/.local ## install and run the main job with the embedded model
	$(BIN)/mathsynth models pull smollm2-135m
	$(BIN)/mathsynth generate quickstart

test: $(VENV)/.dev ## everything that CI runs: lint, types, fast and slow tests
	$(BIN)/mathsynth models pull smollm2-135m
	$(MAKE) check
	$(BIN)/pytest -m 'slow or not slow'

test-fast: $(VENV)/.dev ## the tests that need no model: under a minute
	$(BIN)/pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev ## tables of measured ratios
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) runs

$(VENV)/.local: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[local]'
	touch $@

$(VENV)/.dev: $(VENV)/.local
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@
