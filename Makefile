# `make` lists what there is to make.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
PYTHON ?= python3
BIN := .venv/bin

.PHONY: .venv help up down test lint unit sdks e2e stock reference pins

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: .venv ## boot the lab, deploy the stack dev into it and verify it
	$(BIN)/python -m lab up
	environment="$$($(BIN)/python -m lab env)"
	eval "$$environment"
	pulumi stack select --create dev
	pulumi up --stack dev --yes --skip-preview
	$(BIN)/python -m verification --stack dev

down: .venv ## end the lab and forget what was deployed into it
	$(BIN)/python -m lab down

test: lint unit sdks e2e ## every check and test; restarts the lab and ends it

lint: .venv ## ruff, mypy, the pages' links and commands, and actionlint and zizmor for the workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m docs.check
	actionlint="$$($(BIN)/python -m lab tool actionlint)"
	"$$actionlint" -shellcheck= -pyflakes=
	$(BIN)/zizmor --quiet --offline --pedantic .github

unit: .venv ## unit tests, with mocks, by two workers
	$(BIN)/pytest -n 2 --dist loadfile tests/unit

sdks: tests/sdks/.venv/complete ## unit tests of program and components with the newest SDKs of Pulumi
	tests/sdks/.venv/bin/python -m pytest -n 2 --dist loadfile tests/unit/components tests/unit/deployment

e2e: .venv ## end-to-end tests, in the lab, by two workers
	$(BIN)/python -m lab build gardener pulumi-language-yaml browser
	$(BIN)/pytest -v -n 2 --max-worker-restart=0 --durations=30 --durations-min=10 tests/machine tests/e2e

stock: .venv ## try the lab in a stock Debian, in QEMU; SUITE=trixie for Debian 13
	$(BIN)/python -m tests.stock $(if $(SUITE),--suite $(SUITE))

reference: .venv ## write the JSON schemas and the tables in docs/ from the models
	$(BIN)/python -m settings.reference
	$(BIN)/python -m outputs.reference

pins: .venv ## lock the newest versions that requirements*.in allow
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 tests/e2e/scanner.in -o tests/e2e/scanner.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 tests/sdks/newest.in -o tests/sdks/newest.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 policies/requirements.in -o policies/requirements.txt

.venv: .venv/complete

policies/.venv/complete: policies/requirements.txt
	$(PYTHON) -m venv policies/.venv
	policies/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r policies/requirements.txt
	@touch $@

tests/sdks/.venv/complete: tests/sdks/newest.txt | .venv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python tests/sdks/.venv
	$(BIN)/uv pip install --quiet --require-hashes --python tests/sdks/.venv/bin/python -r tests/sdks/newest.txt
	@touch $@

# Made last, so that a half-made environment is made again.
.venv/complete: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@
