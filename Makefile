# Everything a clone needs, in one command each: `make demo`, `make test`.
# The first one makes .venv; nothing outside this folder is touched.

SHELL := /bin/sh
BIN := .venv/bin
KERNELS := $(wildcard ext/*.pyx ext/*.pxd)
CLAIMS = $(basename $(notdir $(shell grep -l '__main__' benchmarks/*.py)))
PEERS := nautilus_trader==1.221.0 ccxt==4.5.90 cryptofeed==2.4.1 lightmatchingengine==2019.1.4

# The first Python on PATH that is new enough and can make virtual environments.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
PYTEST := $(BIN)/python -m pytest -q
NONE_CHOSEN := [ $$? -eq 5 ]
# Two makes at once in one clone take turns to set it up; without flock, only one may run.
TURNS := $(if $(shell command -v flock),flock Makefile)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test nightly lint types build bench bench-peers wheel clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile

demo: build ## set up, then run the main job; FOR=30s ends by itself
	@$(BIN)/orchestrator run configs/demo.toml $(if $(FOR),--for $(FOR))

test: build ## set up, then the short form of every test, two at a time; ARGS="-k book" narrows it
	@$(PYTEST) -n 2 --dist worksteal -m "not nightly and not alone" $(ARGS) || $(NONE_CHOSEN)
	@$(PYTEST) -m "alone and not nightly" $(ARGS) || $(NONE_CHOSEN)

nightly: build ## the full form of every test, with the numbers of the issues
	@ORCHESTRATOR_NIGHTLY=1 $(BIN)/python -m pytest -m "nightly or not nightly" $(ARGS)

lint: build ## ruff, rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: build ## mypy, strict
	@$(BIN)/mypy

bench: build ## every benchmark of ours
	@for claim in $(CLAIMS); do $(BIN)/python -m benchmarks.$$claim $(ARGS) || exit 1; done

bench-peers: build .venv-peers/.stamp ## the same, in turns with the peers
	@for claim in $(CLAIMS); do \
		ORCHESTRATOR_PEERS_PYTHON=$(CURDIR)/.venv-peers/bin/python \
		$(BIN)/python -m benchmarks.$$claim --peers $(ARGS) || exit 1; done

wheel: build ## an installable wheel in dist/
	@rm -rf build dist
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null
	@ls dist/*.whl

build: ## only the set-up: .venv, the dependencies, the kernels
	@$(TURNS) $(MAKE) -s --no-print-directory .venv/.kernels

clean: ## back to a fresh clone; runs/ stays
	@rm -rf .venv .venv-peers build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@rm -f $(patsubst %.pyx,%.c,$(filter %.pyx,$(KERNELS))) ext/*.so
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "python: no Python 3.11 or newer with venv on PATH --" \
		"install python3.11 and python3.11-venv, or: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m engine.edges.doctor --before-install
	@echo "Setting up .venv with $$($(PYTHON) --version): one to three minutes, once"
	@$(PYTHON) -m venv .venv
	@echo "  build tools"
	@$(BIN)/python -m pip install -q -c constraints.txt setuptools cython
	@echo "  dependencies and kernels"
	@$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e '.[cluster,dev]'
	@touch $@

.venv/.kernels: .venv/.stamp setup.py $(KERNELS)
	@$(BIN)/python setup.py -q build_ext --inplace
	@touch $@

.venv-peers/.stamp: Makefile
	@$(BIN)/python -m venv .venv-peers
	@echo "Installing the peers into .venv-peers: $(PEERS)"
	@.venv-peers/bin/python -m pip install -q $(PEERS)
	@touch $@
