# Each target does all of its own set-up, from nothing but a Python. `make help` lists them.
PYTHON ?= python3
VENVS := .venvs
DEV := $(VENVS)/dev
DEMO := $(VENVS)/demo
BENCH := $(VENVS)/bench
DOCS := $(VENVS)/docs
PYTEST_ARGS ?=
BENCH_ARGS ?=

.PHONY: help demo test long lint bench docs clean parity crash smoke

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

# a stamp a venv: it is filled again when the project's dependencies change
$(VENVS)/%/.stamp: pyproject.toml
	@$(PYTHON) -m venv $(VENVS)/$*
	@$(VENVS)/$*/bin/python -m pip install -qq --disable-pip-version-check --editable '.[$*]'
	@touch $@

demo: $(DEMO)/.stamp  ## load real data into DuckDB, twice, and look at the result
	@$(DEMO)/bin/python examples/demo.py

# Azurite, Microsoft's emulator of its blob store; without npm its tests are skipped and say so. Behind a proxy with a
# certificate of its own, Node trusts what the system trusts
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt)
$(VENVS)/node/.stamp: export NODE_EXTRA_CA_CERTS ?= $(CERTIFICATES)
$(VENVS)/node/.stamp:
	@mkdir -p $(VENVS)/node
	@if command -v npm >/dev/null; then npm install --silent --no-fund --no-audit --fetch-retries=1 --fetch-timeout=30000 \
		--prefix $(VENVS)/node azurite@3.37.0 || echo "Azurite could not be installed: its tests are skipped"; fi
	@touch $@

test: $(DEV)/.stamp $(VENVS)/node/.stamp  ## run the tests
	@$(DEV)/bin/python -m pytest $(PYTEST_ARGS)

long: $(DEV)/.stamp $(VENVS)/node/.stamp  ## run all tests, with thousands of random examples: hours
	@HEADRACE_LONG=1 $(DEV)/bin/python -m pytest --timeout 0 $(PYTEST_ARGS)

lint: $(DEV)/.stamp  ## formatting, types, layers, sizes
	@$(DEV)/bin/ruff check .
	@$(DEV)/bin/ruff format --check .
	@$(DEV)/bin/mypy
	@$(DEV)/bin/lint-imports --no-cache
	@$(DEV)/bin/python tools/sizes.py

# the oldest DuckDB that is supported, and the newest there is below the bound in pyproject.toml
$(VENVS)/smoke-oldest/.stamp: SMOKE_DUCKDB := duckdb==1.4.*
$(VENVS)/smoke-newest/.stamp: SMOKE_DUCKDB := duckdb
$(VENVS)/smoke-%/.stamp: pyproject.toml
	@$(PYTHON) -m venv $(VENVS)/smoke-$*
	@$(VENVS)/smoke-$*/bin/python -m pip install -qq --disable-pip-version-check --upgrade --editable . '$(SMOKE_DUCKDB)'
	@touch $@

smoke: $(VENVS)/smoke-oldest/.stamp $(VENVS)/smoke-newest/.stamp  ## a small run on the oldest and the newest DuckDB
	@$(VENVS)/smoke-oldest/bin/python tests/smoke/smoke.py
	@$(VENVS)/smoke-newest/bin/python tests/smoke/smoke.py

bench: $(BENCH)/.stamp  ## headrace and dlt side by side
	@$(BENCH)/bin/python bench/run.py $(BENCH_ARGS)

docs: $(DOCS)/.stamp  ## build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet
	@echo "site/index.html"

crash: $(DEV)/.stamp  ## kill -9 more than 500 times, over all destinations; servers die, disks are full
	@HEADRACE_LONG=1 HEADRACE_CRASH_RUNS=$${HEADRACE_CRASH_RUNS:-560} $(DEV)/bin/python -m pytest tests/crash --timeout 1200 $(PYTEST_ARGS)

parity: $(BENCH)/.stamp $(DEV)/.stamp  ## record anew what dlt makes of the parity cases
	@$(BENCH)/bin/python -m tests.parity.record
	@$(DEV)/bin/python -m tests.parity.record_documents

clean:  ## remove everything that the targets made
	rm -rf $(VENVS) site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
