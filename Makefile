# The only entry. `make run` and `make test` set up what they need themselves; `make help` lists the rest.
#
# ARGS goes to the command behind a target:  make run ARGS="--listen 127.0.0.1:0"   make test ARGS="-k stream"
# TORCH_INDEX_URL: PyTorch's index of CPU wheels, where pip's own index has none.  PYTHON: the Python 3.11 to use.
# TIERWAY_CORE_DEBUG=1: a core with bounds checks.  VENV: another place than .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
ROUTING_DATA ?= ../shared/routing
export VENV TORCH_INDEX_URL TIERWAY_CORE_DEBUG

SERVE_STEPS := packages core project model
TEST_STEPS := packages dev core project model gen peers
set-up = python=$$(scripts/find-python) && "$$python" scripts/set_up.py

.PHONY: train train-report peers help run serve-ready test-ready packages test check build gen gen-check lint fmt bench eval annotate asan lock dist clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

run: serve-ready ## set everything up, then serve (ARGS: arguments of `tierway serve`)
	@exec $(BIN)/tierway serve $(ARGS)

test: test-ready lint ## set up what is needed, check everything, run all tests (ARGS: arguments of pytest)
	@$(BIN)/python scripts/run_tests.py $(ARGS)

build: ## compile the core where a source is newer than its module
	@$(set-up) packages core project

packages: ## the virtual environment with the pinned packages, nothing of ours
	@$(set-up) packages

serve-ready:
	@$(set-up) $(SERVE_STEPS)

test-ready:
	@$(set-up) $(TEST_STEPS)

gen: ## generate the stubs from protos/
	@$(set-up) gen
	@.venv-gen/bin/python scripts/generate_stubs.py

gen-check: ## fail if the committed stubs are not what protos/ gives
	@$(set-up) gen
	@.venv-gen/bin/python scripts/generate_stubs.py --check

lint: test-ready ## ruff, mypy, import-linter, buf, hadolint, stubs against protos
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@$(BIN)/hadolint Dockerfile
	@.venv-gen/bin/python scripts/generate_stubs.py --check

check: lint

fmt: test-ready ## format code and protos, apply the safe fixes
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .
	@$(BIN)/buf format --write

peers: packages ## other projects' servers, which tests and benchmarks talk to, into build/peers
	@$(set-up) peers

bench: test-ready ## measure (ARGS: arguments of tierway_bench)
	@$(BIN)/python -m tierway_bench $(ARGS)

eval: test-ready ## judge the classifier on the data sets of ROUTING_DATA, beside the baselines (ARGS: arguments of `tierway eval`)
	@$(BIN)/tierway eval $(wildcard $(ROUTING_DATA)/*.jsonl.gz) --output build/eval $(ARGS)

train: test-ready ## fit the classifier's weights (ROUTING_DATA: folder of the data sets; ARGS: arguments of training/train.py)
	@$(BIN)/python training/train.py --data $(ROUTING_DATA) $(ARGS)

train-report: test-ready ## what weights so fitted are worth on groups, languages and data sets left out (ROUTING_DATA)
	@$(BIN)/python training/rules.py --data $(ROUTING_DATA)
	@$(BIN)/python training/report.py --data $(ROUTING_DATA) $(ARGS)

annotate: test-ready ## the core as HTML, each line with its C and its cost: build/annotate
	@$(BIN)/python -c 'import setup; setup.core_extensions(annotate=True)'
	@ls build/annotate/router_core/tierway_core/*.html

asan: test-ready ## the core's property tests under AddressSanitizer, in a copy (ARGS: arguments of pytest)
	@scripts/asan $(ARGS)

lock: test-ready ## resolve the dependencies of pyproject.toml anew into requirements/
	@$(BIN)/python scripts/lock.py

dist: packages ## both wheels into dist/
	@flock .set-up.lock rm -rf build/lib* build/bdist* clients/python/build dist # setuptools would ship what has been deleted since
	@flock .set-up.lock $(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . ./clients/python
	@ls dist

clean: ## remove everything that set-up, build and checks made, except the embedded model
	@flock .set-up.lock rm -rf $(VENV) .venv-gen build clients/python/build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@flock .set-up.lock find router_core server bench clients tests scripts \
		\( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} + -o -name '*.so' -exec rm -f {} +
