# `make demo` and `make test` do all the set-up they need; the other targets as well.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test e2e lint types bench clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "OmniCXR needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/omnicxr demo --out demo

test: $(READY)
	$(BIN)/python -m pytest

e2e: $(READY)
	bash runs/tiny.sh nano 300 64 runs-out/e2e

lint: $(READY)
	$(BIN)/ruff check . && $(BIN)/lint-imports

types: $(READY)
	$(BIN)/pyright

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/prepare.py
	$(BIN)/python benchmarks/synthesis.py 200 500

clean:
	rm -rf $(VENV) demo runs-out
