# Needs Python ≥ 3.11, git and make. `make` lists the targets; `make run PYTHON=python3.13` takes another Python.
PYTHON ?= python3
PIP_FLAGS := --quiet --disable-pip-version-check
export PYTHONUTF8 = 1

light := .venv/bin
dev := .venv-dev/bin

help:  ## this list
	@awk -F ':.*##' '/^[a-z-]+:.*##/ { printf "make %-10s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/installed  ## install the light package and fill masks in several languages with the small model inside
	$(light)/xlmr fill-mask --top 3 \
	  "She opened the <mask> and went inside." \
	  "Paris est la <mask> de la France." \
	  "Guten <mask>, wie geht es Ihnen?" \
	  "Москва — <mask> России." \
	  "Η Αθήνα είναι η <mask> της Ελλάδας." \
	  "मैं एक गिलास <mask> पी रहा हूँ।" \
	  "اللغة العربية <mask> جميلة." \
	  "我每天早上喝一杯<mask>。" \
	  "Mtoto anasoma <mask> shuleni."

test: check  ## set up everything the tests need and pass all but the slow ones
	$(dev)/python -m pytest

test-all: check  ## the slow ones too (gigabytes of memory, many minutes)
	$(dev)/python -m pytest -m "slow or not slow"

check: .venv-dev/installed  ## lint, format, types, and the floors
	$(dev)/ruff check
	$(dev)/ruff format --check
	$(dev)/mypy
	$(dev)/lint-imports --no-logo

small: .venv-dev/installed  ## train, measure and install the model inside (hours; goes on where it was stopped)
	$(dev)/pip install $(PIP_FLAGS) --constraint constraints-dev.txt --group plot
	$(dev)/python recipes/small.py
	$(dev)/python docs/refresh.py

bench: .venv-dev/installed  ## time and memory against transformers (benchmarks/README.md)
	$(dev)/python benchmarks/fill_mask.py

docs: .venv-dev/installed  ## rewrite the outputs that README and docs/ show
	$(dev)/python docs/refresh.py

build: .venv-dev/installed  ## wheel and sdist, into dist/
	$(dev)/python -m build

clean:  ## remove the environments and everything built; runs/ stays
	rm -rf .venv .venv-dev dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# The light environment holds the package and its dependencies, nothing else: so `make run` proves the light install.
.venv/installed: pyproject.toml | python
	$(PYTHON) -m venv .venv
	$(light)/pip install $(PIP_FLAGS) --editable .
	@touch $@

# torch first and alone, pinned: then nothing after it can ask for another build.
.venv-dev/installed: pyproject.toml constraints-dev.txt | python
	$(PYTHON) -m venv .venv-dev
	$(dev)/python -m pip install $(PIP_FLAGS) --upgrade 'pip>=25.1'
	$(dev)/pip install $(PIP_FLAGS) --constraint constraints-dev.txt torch
	$(dev)/pip install $(PIP_FLAGS) --constraint constraints-dev.txt --editable '.[train,lora,data,plot,jax,tensorflow]' --group dev
	@touch $@

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "xlmr needs Python 3.11 or newer: make … PYTHON=python3.11")'

.PHONY: help run test test-all check small bench docs build clean python
