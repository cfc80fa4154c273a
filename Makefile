# Everything runs in .venv, which is made from requirements.lock on first use. What needs Java and a cloud adds its own lock.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo dev test test-slow test-dg test-torch test-browser chromium screenshots athena test-athena faults fuzz mutants bench bench-growth bench-guard bench-loaders check format lock clean

help: ## Show what each target does.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: .venv/installed ## Build every bundled model on this machine; show what was built, where, and one padded sequence.
	$(BIN)/seq-assets materialize
	$(BIN)/python docs/examples/first_sequence.py

dev: .venv/installed ## Serve the Dagster UI, with the runs of `make demo` and the command line.
	DAGSTER_HOME="$$($(BIN)/python -m seq_assets.environments)" $(BIN)/dg dev

test: .venv/installed ## Run the tests.
	$(BIN)/pytest

test-slow: EXAMPLES = 1
test-slow: .venv/installed ## Run the tests that take long, and the properties with all their examples; EXAMPLES=10 has ten times as many.
	SEQ_ASSETS_TEST_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -m '(slow or hypothesis) and not athena and not browser and not dg and not faults and not torch'

test-dg: .venv/installed ## Run `dg` in the checkout, in the project of examples/, and in one with the component.
	$(BIN)/pytest -n 0 -m dg

.venv-torch/installed: requirements.lock requirements-torch.lock pyproject.toml
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock --requirement requirements-torch.lock
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

test-torch: .venv-torch/installed ## Run the tests that need torch and datasets, in an environment of their own (the first time, 3 GB are downloaded).
	.venv-torch/bin/pytest -n 0 -m torch

bench-loaders: .venv-torch/installed ## Measure rows/s into a training loop beside a TensorDataset and Hugging Face's streaming.
	.venv-torch/bin/python -m benchmarks loaders

chromium:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { apt-get update && apt-get install --yes chromium; } \
		|| { echo "Chromium is needed: install it (on Debian, as root: apt-get install chromium), then try again."; exit 1; }

test-browser: .venv/installed chromium ## Run the tour of the UI in Chromium, which is installed where that is possible.
	$(BIN)/pytest -n 0 -x -m browser

screenshots: ## Take the pictures of docs/ui.md anew.
	SEQ_ASSETS_TEST_SCREENSHOTS=docs/images/ui $(MAKE) test-browser

.venv/installed-athena: .venv/installed requirements-athena.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-athena.lock
	@touch $@

athena: .venv/installed-athena ## Serve S3, Glue and an Athena on this machine; print the settings that point production at them.
	$(BIN)/python -m seq_assets_tests.athena

test-athena: .venv/installed-athena ## Run the tests that need that stack (the first time, 800 MB are downloaded).
	SEQ_ASSETS_TEST_EXAMPLES=1 $(BIN)/pytest -m 'athena and not faults'

faults: .venv/installed-athena ## Break things a hundred times each; print the figures of docs/reliability.md (an hour; root, for disks of its own).
	$(BIN)/pytest -n 0 -m faults

fuzz: SEED = 0
fuzz: .venv/installed ## Give mutated inputs to the command line, thousands of each format (an hour); CASES=500 of each, SEED=1 for others.
	$(BIN)/python -m seq_assets_tests.fuzz --seed $(SEED) $(if $(CASES),--cases $(CASES))

mutants: .venv/installed ## Prove that the tests see: put in faults, one at a time, and show which test finds each.
	$(BIN)/python -m seq_assets_tests.mutants

bench: ROWS = 17_000_000
bench: .venv/installed ## Measure each goal of speed and memory, beside Polars, DuckDB, pandas and pyKT; ROWS=17_000_000.
	$(BIN)/python -m benchmarks goals --rows $(ROWS)

bench-growth: ROWS = 1_000_000 17_000_000
bench-growth: .venv/installed ## Measure how time and memory grow; ROWS="1_000_000 17_000_000".
	$(BIN)/python -m benchmarks growth --rows $(ROWS)

bench-guard: .venv/installed ## Fail where the platform became slower beside DuckDB by a factor (20 seconds).
	$(BIN)/python -m benchmarks guard

check: .venv/installed ## Check format, lint and types.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed ## Format the code and mend what the linter can.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/installed ## Resolve the three locks anew from pyproject.toml.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --no-annotate --no-header --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra torch --extra huggingface --constraint requirements.lock --no-annotate --no-header --output-file requirements-torch.lock
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra athena --constraint requirements.lock --no-annotate --no-header --output-file requirements-athena.lock

clean: ## Remove the virtual environment and the caches; built tables stay.
	rm -rf .venv .venv-torch .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
