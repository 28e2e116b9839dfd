# `make` lists what there is to make.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
PYTHON ?= python3
BIN := .venv/bin
DEV := .venv-dev/bin

.PHONY: .venv .venv-dev help up down test lint unit sdks e2e stock reference pins

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

lint: .venv-dev ## ruff, mypy, the pages' links and commands, and actionlint and zizmor for the workflows
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy
	$(DEV)/python -m docs.check
	actionlint="$$($(DEV)/python -m lab tool actionlint)"
	"$$actionlint" -shellcheck= -pyflakes=
	$(DEV)/zizmor --quiet --offline --pedantic .github

unit: .venv-dev ## unit tests, with mocks, by two workers
	$(DEV)/pytest -n 2 --dist loadfile tests/unit

sdks: tests/sdks/.venv/complete ## unit tests of program and components with the newest SDKs of Pulumi
	tests/sdks/.venv/bin/python -m pytest -n 2 --dist loadfile tests/unit/components tests/unit/deployment

e2e: .venv-dev ## end-to-end tests, in the lab, by two workers
	$(DEV)/python -m lab build gardener pulumi-language-yaml browser
	$(DEV)/pytest -v -n 2 --max-worker-restart=0 --durations=30 --durations-min=10 tests/machine tests/e2e

stock: .venv ## try the lab in a stock Debian, in QEMU; SUITE=trixie for Debian 13
	$(BIN)/python -m tests.stock $(if $(SUITE),--suite $(SUITE))

reference: .venv ## write the JSON schemas and the tables in docs/ from the models
	$(BIN)/python -m settings.reference
	$(BIN)/python -m outputs.reference

pins: .venv-dev ## lock the newest versions that requirements*.in allow
	$(DEV)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 requirements.in -o requirements.txt
	$(DEV)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 requirements-dev.in -o requirements-dev.txt
	$(DEV)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 tests/e2e/scanner.in -o tests/e2e/scanner.txt
	$(DEV)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 tests/sdks/newest.in -o tests/sdks/newest.txt
	$(DEV)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 policies/requirements.in -o policies/requirements.txt

.venv: .venv/complete

.venv-dev: .venv-dev/complete

policies/.venv/complete: policies/requirements.txt
	$(PYTHON) -m venv policies/.venv
	policies/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r policies/requirements.txt
	@touch $@

tests/sdks/.venv/complete: tests/sdks/newest.txt | .venv-dev
	$(DEV)/uv venv --quiet --clear --python $(BIN)/python tests/sdks/.venv
	$(DEV)/uv pip install --quiet --require-hashes --python tests/sdks/.venv/bin/python -r tests/sdks/newest.txt
	@touch $@

# Each environment's file `complete` is made last, so that a half-made environment is made again.
.venv/complete: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

# A path file adds the packages of .venv, which beside credentials is the only one. pip must not take them for its own.
.venv-dev/complete: requirements-dev.txt .venv/complete
	$(BIN)/python -m venv --without-pip .venv-dev
	packages='import sysconfig; print(sysconfig.get_path("purelib"))'
	$(BIN)/python -c "$$packages" > "$$($(DEV)/python -c "$$packages")/program.pth"
	$(BIN)/pip --python $(DEV)/python install --quiet --disable-pip-version-check --ignore-installed --require-hashes -r requirements-dev.txt
	@touch $@
