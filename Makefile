# `make demo` and `make test` do all the set-up they need; the other targets as well.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Each process that runs tests has one thread; those that wait give way. Freed memory is kept, where the C library is glibc: given back
# and fetched again at every layer of a network, it took up to half of the processor's time.
TESTS := MALLOC_TRIM_THRESHOLD_=8589934592 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n auto --dist worksteal

.PHONY: setup demo test check lint types e2e bench robustness style clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "OmniCXR needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/omnicxr demo --out demo

# Everything.
test: $(READY)
	$(TESTS)

# What is quick enough to run before every commit.
check: lint types
	$(TESTS) -m "not slow"

lint: $(READY)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

types: $(READY)
	$(BIN)/pyright

e2e: $(READY)
	bash runs/tiny.sh nano 300 64 runs-out/e2e

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/prepare.py
	$(BIN)/python benchmarks/synthesis.py 200 500

# Odd and bad inputs by the thousand, and kills at random moments: about half an hour on two cores.
robustness: $(READY)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m benchmarks.robustness
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python benchmarks/kills.py

style: $(READY)
	$(BIN)/python scripts/style.py

clean:
	rm -rf $(VENV) demo runs-out
