# What people and CI run: `make` lists it.

PYTHON ?= python3
JOBS ?= 3
BIN := .venv/bin
INSTALLED := .venv/installed
PEERS := .venv-bench/installed
SITE := .venv-site/installed
# Makes a virtual environment in the folder $(1), also where Debian's python3-venv isn't installed.
NEW_VENV = test -x $(1)/bin/pip || $(PYTHON) -m venv $(1) > /dev/null 2>&1 \
		|| { $(PYTHON) -m venv --clear --without-pip $(1) && $(PYTHON) -m pip --python $(1)/bin/python install -q pip; } \
		|| { echo "no virtual environment could be made: install python3-venv (apt-get install python3-venv)"; exit 1; }

.PHONY: help install mariadb chromium promtool peers demo test lint unit chaos simulation bench

help:
	@echo "make install              the program into .venv (.venv/bin/bq-sync)"
	@echo "make demo                 a camera server, MariaDB, an emulator of BigQuery and bq-sync, until Ctrl-C"
	@echo "make demo ROWS=1000       the same until so many rows have arrived and were compared [PORT=8322 for the API]"
	@echo "make test                 lint, types and tests [some thorough ones: make chaos, make simulation]"
	@echo "make lint                 lint and types alone"
	@echo "make unit                 the tests that need no server"
	@echo "make bench                how fast and how gentle it is, beside dlt, in one table [OUT=file.json, SMALL=1 for a try]"
	@echo "make simulation           random histories on simulated servers, and what is found without each fact [HISTORIES=20000 of each kind]"
	@echo "make chaos                the tests that kill and freeze processes"
	@echo "make chaos ROUNDS=500     so many random faults on living sites instead [SEED=1 plays the same again]"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt enqueuer/pyproject.toml $(wildcard enqueuer/bq_sync_enqueuer/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "bq-sync needs Python 3.11 or newer: name one, as in make PYTHON=python3.12 install"; exit 1; }
	@echo "installing about 100 packages into .venv: a minute or so"
	@$(call NEW_VENV,.venv)
	$(BIN)/pip install --quiet --constraint constraints.txt ./enqueuer --editable '.[dev]'
	@touch $@

mariadb:
	@sh sandbox/install_mariadb.sh

promtool: install
	@sh sandbox/install_promtool.sh

peers: $(PEERS)

$(PEERS): bench/peers.txt bench/peers-constraints.txt
	@$(call NEW_VENV,.venv-bench)
	.venv-bench/bin/pip install --quiet --constraint bench/peers-constraints.txt --requirement bench/peers.txt
	@touch $@

# bq-sync as a site installs it: without what tests and the emulator need, some of which others would load.
$(SITE): pyproject.toml constraints.txt enqueuer/pyproject.toml $(wildcard enqueuer/bq_sync_enqueuer/*)
	@$(call NEW_VENV,.venv-site)
	.venv-site/bin/pip install --quiet --constraint constraints.txt ./enqueuer --editable .
	@touch $@

chromium:
	@sh sandbox/install_chromium.sh

demo: install mariadb
	@$(BIN)/python -m sandbox.demo $(if $(ROWS),--rows $(ROWS)) $(if $(PORT),--port $(PORT))

test: install mariadb chromium promtool lint
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m "not thorough"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

unit: install
	$(BIN)/pytest tests/unit

chaos: install mariadb
ifdef ROUNDS
	$(BIN)/python -m tests.chaos.rounds --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))
else
	$(BIN)/pytest -n 3 --dist worksteal tests/chaos
endif

simulation: install
	SIMULATION_HISTORIES=$(or $(HISTORIES),20000) $(BIN)/pytest -n 2 -rP --timeout=0 \
		tests/simulation/test_histories.py tests/simulation/test_facts.py

bench: install mariadb peers $(SITE)
	@$(BIN)/python -m bench.everything $(if $(OUT),--json $(OUT)) $(if $(SMALL),--small)
