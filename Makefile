PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run test lint types coverage docs options routes bench fuzz matrix floors clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Waterspout needs Python 3.11 or newer: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[app,test,dev]'
	@touch $@

run: $(STAMP) ## Serve the status board (PORT=9000, ARGS="--wsgi-workers 0")
	@$(BIN)/python -m app $(if $(PORT),--port $(PORT)) $(ARGS)

test: $(STAMP) ## Run all tests (ARGS="-k lanes -x")
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP) ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Check types
	$(BIN)/mypy

coverage: $(STAMP) ## Run all tests and show the lines that none of them reaches
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage report

docs: $(STAMP) ## Check that links and named tests in the documents exist
	$(BIN)/python -m pytest -q tests/test_docs.py

options: $(STAMP) ## Write docs/options.md
	@$(BIN)/python -m tests.options_table

routes: $(STAMP) ## Write the board's route table into the README
	@$(BIN)/python -m tests.route_table

bench: ## Measure beside the peers, in a virtual environment of its own (ARGS="--only native --rounds 3")
	@$(PYTHON) -m benchmarks $(ARGS)

fuzz: $(STAMP) ## Mutate requests at the HTTP server (ARGS="--seconds 600 --seed 1")
	$(BIN)/python -m tests.http.fuzz $(ARGS)

matrix: ## Run all tests on every Python here, both servers, both loops (ARGS="--jobs 3 --only python3.13")
	@$(PYTHON) -m tests.matrix $(ARGS)

floors: $(STAMP) ## Run tests of the engine on the lowest versions of what it needs
	@$(BIN)/python -m tests.floors $(ARGS)

clean: ## Remove the virtual environment, caches and the example database
	rm -rf $(VENV) .venv-* .matrix .coverage .mypy_cache .pytest_cache .ruff_cache build *.egg-info var
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
