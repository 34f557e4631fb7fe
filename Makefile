# Four targets, each sets up its own .venv: only make and Python 3.11+ are assumed.
#
#   make demo     train a small network on an emulated Cortex-M4
#   make test     the tests            (PYTEST_ARGS="-n 2 -m 'not slow'" changes what runs)
#   make test-long  the tests, with every combination: several times as long
#   make check    linters, formatters, types, spelling
#
# PYTHON=python3.13 make demo   picks another interpreter.

PYTHON ?= python3
PYTEST_ARGS ?= -n 2
DEMO_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
C_FILES = $(shell find src tests examples benchmarks -path tests/golden -prune -o -name '*.[ch]' -print)

.PHONY: help demo test test-long check format setup clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo
	$(BIN)/mcugrad demo $(DEMO_ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest --dist worksteal $(PYTEST_ARGS)

test-long: export MCUGRAD_TEST_LONG = 1
test-long: test

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict
	@echo clang-format of $(words $(C_FILES)) files
	@$(if $(C_FILES),$(BIN)/clang-format --dry-run -Werror $(C_FILES))
	$(BIN)/codespell

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format
	@$(if $(C_FILES),$(BIN)/clang-format -i $(C_FILES))

setup: $(VENV)/.dev

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A stamp per set of packages: installing runs again only when pyproject.toml changes.
$(VENV)/.dev: pyproject.toml $(VENV)/.made
	@echo "installing mcugrad with its development tools into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $(VENV)/.demo $@

$(VENV)/.demo: pyproject.toml $(VENV)/.made
	@echo "installing mcugrad with its compiler and emulator into $(VENV)"
	@$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c '' || { \
	    echo "error: $(PYTHON) does not start; mcugrad needs Python 3.11 or newer" >&2; \
	    echo "  try    make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: mcugrad needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)" >&2; \
	    echo "  try    make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { \
	    echo "error: $(PYTHON) cannot make a virtual environment" >&2; \
	    echo "  try    apt install python3-venv, or another PYTHON=" >&2; rm -rf $(VENV); exit 2; }
	@touch $@
