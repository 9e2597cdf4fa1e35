# The commands of this repository; `make help` lists them. Options travel in ARGS:
#   make demo ARGS=--once        make test ARGS="-k approve"
.DEFAULT_GOAL := help
.SILENT:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
export VENV
# What other projects put into a shell is no business of ours.
unexport DJANGO_SETTINGS_MODULE PYTHONHOME PYTHONSAFEPATH
python := $(VENV)/bin/python
apps := revfirst workspaces x_integration publishing control
sets := base demo test dev

.PHONY: help demo test lint format bench bench-tokens bench-publishing bench-ingest chaos ingest-runs month states requirements clean

help: ## list the commands
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run the whole system here, with a local X; Ctrl-C stops it (ARGS=--once: one round, then end)
	deploy/make-env demo
	exec $(python) manage.py demo $(ARGS)

test: ## run the tests on PostgreSQL and Valkey of their own (ARGS go to pytest)
	deploy/make-env dev
	exec $(python) -m pytest $(ARGS)

lint: ## check style, types, import order, settings and migrations
	deploy/make-env dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(python) -m mypy $(apps) tests manage.py
	$(VENV)/bin/lint-imports
	# There need be no database: what makemigrations compares is code.
	$(python) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(python) manage.py check

format: ## write the code in its one style
	deploy/make-env dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: ## measure a first look, renewals, the status API, reading, publishing and the guards, beside the bounds
	deploy/make-env dev
	$(python) -m tests.benchmarks.first_look
	$(python) -m tests.benchmarks.tokens
	$(python) -m tests.benchmarks.status
	$(python) -m tests.benchmarks.ingest
	$(python) -m tests.benchmarks.publishing
	$(python) -m tests.benchmarks.texts

bench-tokens: ## renewals in full: 10,000 accounts, 13 minutes (ARGS="--minutes 60")
	deploy/make-env dev
	$(python) -m tests.benchmarks.tokens --accounts 10000 --minutes 12 $(ARGS)

bench-publishing: ## publishing in full: a million rows, 10 minutes (ARGS="--polls 0.2,0.1,0.05")
	deploy/make-env dev
	$(python) -m tests.benchmarks.publishing --rows 1000000 --rounds 300 --publications 1500 --taps 100 $(ARGS)

bench-ingest: ## reading in full: 100,000 posts, half a minute
	deploy/make-env dev
	$(python) -m tests.benchmarks.ingest --posts 100000 $(ARGS)

chaos: ## publish through 1,000 random faults and kills (ARGS="--chaos-seed 7 --chaos-run 12": one again)
	deploy/make-env dev
	exec $(python) -m pytest tests/publishing/test_chaos.py -s --chaos-runs 1000 --chaos-seed random $(ARGS)

ingest-runs: ## read through 1,000 random faults and late posts (ARGS="--ingest-seed 7 --ingest-run 12": one again)
	deploy/make-env dev
	exec $(python) -m pytest tests/x_integration/test_ingest_runs.py -s --ingest-runs 1000 --ingest-seed random $(ARGS)

month: ## spend a month's budget on 10,000 mentions and 500 replies, beside X's bill
	deploy/make-env dev
	exec $(python) -m pytest tests/publishing/test_month.py -s --whole-month $(ARGS)

states: ## write docs/STATES.md from the table of moves
	deploy/make-env dev
	$(python) manage.py states_page > docs/STATES.md

requirements: ## pin requirements/*.in, with hashes, into requirements/*.txt
	deploy/make-env dev
	for set in $(sets); do \
		$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
			--no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" \
			--output-file requirements/$$set.txt requirements/$$set.in || exit; \
	done

clean: ## remove the environment, the caches and the demo's data
	if [ -d var ]; then if [ -x $(python) ]; then $(python) -m revfirst.demo --forget; else python3 -m revfirst.demo --forget; fi; fi
	rm -rf var $(VENV) staticfiles .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
