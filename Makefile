# Everything a person or CI does here. `make demo` and `make test` need nothing but Python 3.10+,
# a C++ compiler, make and a package registry: they make their own .venv.

PROFILE ?= small
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVING := $(VENV)/.serving
TESTING := $(VENV)/.testing
CPP = $(shell find csrc -name '*.cpp' -o -name '*.hpp')

.PHONY: demo test test-cpp lint format bench serve assets clean

demo: $(SERVING)  ## The main job, end to end: writes build/demo.json
	$(BIN)/budgetmem assets pull $(PROFILE)
	$(BIN)/python -m examples.demo --profile $(PROFILE)

test: $(TESTING)  ## Every test; the weights of the tiny profile are pulled first
	$(BIN)/budgetmem assets pull tiny
	$(BIN)/pytest
	$(MAKE) test-cpp

test-cpp: $(TESTING)  ## The C++ tests: released, under ASan and UBSan, under TSan
	$(BIN)/cmake --workflow --preset release
	$(BIN)/cmake --workflow --preset asan
	$(BIN)/cmake --workflow --preset tsan

lint: $(TESTING)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest budgetmem._core
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/cmake --workflow --preset tidy

format: $(TESTING)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

bench: $(TESTING)
	$(BIN)/python -m benchmarks.retrieval --help

serve: $(SERVING)
	$(BIN)/budgetmem assets pull $(PROFILE)
	$(BIN)/budgetmem serve --profile $(PROFILE)

assets: $(SERVING)
	$(BIN)/budgetmem assets pull $(PROFILE)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

$(SERVING): pyproject.toml CMakeLists.txt $(wildcard csrc/*/*.?pp csrc/*/*/*.?pp csrc/*/CMakeLists.txt) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[embedded]'
	touch $@

# torch is for the tests of the transformers engine only; this release has a small CPU build.
$(TESTING): $(SERVING)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[embedded,train,dev]'
	touch $@

clean:  ## Removes the environment and everything built; pulled assets stay in the user cache
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
