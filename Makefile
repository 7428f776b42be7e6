# Everything sets itself up in .venv; nothing else of this machine is touched.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Say what can be done.
help:
	@echo 'make run          the server on 127.0.0.1:8025'
	@echo 'make run-sandbox  the server in a small Internet of its own, on loopback'
	@echo 'make demo         the whole job, shown and checked'
	@echo 'make test         every test; make fast: without the slow ones'
	@echo 'make check        format, lint, types, the law of imports'
	@echo 'make bench        how fast, beside Postfix; ARGS="--quick" for a try, --help for more'
	@echo 'make fuzz         ten minutes of a coverage-guided fuzzer for each parser; ARGS="--minutes 1 session"'
	@echo 'make soak         ten minutes of load while all goes wrong; ARGS="--minutes 60"'

.PHONY: help run run-sandbox demo test fast check bench soak fuzz format clean

run: $(READY)
	@$(BIN)/mta serve

run-sandbox: $(READY)
	@$(BIN)/mta sandbox

demo: $(READY)
	@$(BIN)/python -m mta.sandbox.demo

test: $(READY)
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

fast: $(READY)
	$(BIN)/pytest -q -n auto --dist loadfile -m "not peers and not slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_layering.py

bench: $(READY)
	@$(BIN)/python -m tests.bench $(ARGS)

soak: $(READY)
	@$(BIN)/python -m tests.bench.soak $(ARGS)

fuzz: $(READY)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[fuzz]'
	@$(BIN)/python -m tests.fuzz $(ARGS)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); try: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch $@
