# Everything a person or CI does here. `make demo` and `make test` need nothing but Python 3.10+,
# a C++ compiler, make and a package registry: they make their own .venv.

PROFILE ?= small
# For `make serve`: OPTIONS=--console, say.
OPTIONS ?=
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVING := $(VENV)/.serving
TESTING := $(VENV)/.testing
FUZZ := $(BIN)/python -m benchmarks.chaos.fuzz --inputs
FUZZ_INPUTS ?= 1000000
CPP = $(shell find csrc -name '*.cpp' -o -name '*.hpp')

# LoCoMo's file, for `make recordings` and `make routers`.
DATA ?= locomo10.json
OUTCOMES := training/recordings/small
RECORD = $(BIN)/python training/record.py --data $(DATA)
REPORT := $(BIN)/python training/report.py
FIGURES := docs/results/figures
# The paths between which most is to be chosen, and that call no large model: docs/decisions, 18.
SHORT := LLLLL,LLLLM,MLLLL,MLLLM
# Under `extractive`, what was found as it is: docs/decisions, 19.
FOUND := LLLLH,HLLLH

.PHONY: demo test test-cpp fuzz lint docs audit dist format bench recordings routers report serve assets clean

demo: $(SERVING)  ## The main job, end to end: writes build/demo.json
	$(BIN)/budgetmem demo --profile $(PROFILE) --output build/demo.json

test: $(TESTING)  ## Every test; the weights of the tiny profile are pulled first
	$(BIN)/budgetmem assets pull tiny
	$(BIN)/pytest
	$(MAKE) test-cpp

test-cpp: $(TESTING)  ## The C++ tests: released, under ASan and UBSan, under TSan
	$(BIN)/cmake --workflow --preset release
	$(BIN)/cmake --workflow --preset asan
	$(BIN)/cmake --workflow --preset tsan

fuzz: $(TESTING)  ## FUZZ_INPUTS inputs for each target in C++, and for budgetmem._core under ASan and UBSan (needs Clang)
	$(BIN)/pip install --quiet 'pybind11>=3'
	$(BIN)/cmake --workflow --preset fuzz
	$(BIN)/cmake --preset bindings -DPython_EXECUTABLE=$(abspath $(BIN)/python) \
	    -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir)
	$(BIN)/cmake --build --preset bindings
	$(FUZZ) $(FUZZ_INPUTS) 'csrc-*' '*.sanitized' --json build/fuzz.json

lint: $(TESTING) docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest budgetmem._core
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/cmake --workflow --preset tidy

docs: $(TESTING)  ## The documentation's site, in build/site; a link that leads nowhere is an error
	$(BIN)/python -m docsite

audit: $(TESTING)  ## An SBOM (build/sbom.json) and known vulnerabilities; AUDIT: options of .ci/audit.py
	$(BIN)/python .ci/audit.py $(AUDIT)

dist: $(TESTING)  ## The sdist, and the wheel made from it as pip does: both are installed in a clean environment and tried out
	$(BIN)/python .ci/dist.py

format: $(TESTING)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

bench: $(TESTING)
	$(BIN)/python -m benchmarks.retrieval --help

recordings: $(TESTING)  ## What the bundled routers learn from: hours of work, goes on where it was cut off
	$(BIN)/budgetmem assets pull small
	$(RECORD) --strategy capacity --split train --constants --questions 100 --output $(OUTCOMES)-capacity-train.jsonl.gz
	$(RECORD) --strategy capacity --split validation --constants --questions 30 --output $(OUTCOMES)-capacity-validation.jsonl.gz
	$(RECORD) --strategy capacity --split train --no-plan --paths $(SHORT) --questions 120 --output $(OUTCOMES)-capacity-train.jsonl.gz
	$(RECORD) --strategy capacity --split validation --no-plan --paths $(SHORT),LMMMM,MMMMM --questions 60 --output $(OUTCOMES)-capacity-validation.jsonl.gz
	$(RECORD) --strategy extractive --split train --no-plan --constants --questions 150 --output $(OUTCOMES)-extractive-train.jsonl.gz
	$(RECORD) --strategy extractive --split validation --no-plan --constants --questions 40 --output $(OUTCOMES)-extractive-validation.jsonl.gz
	$(RECORD) --strategy extractive --split train --no-plan --paths $(SHORT),$(FOUND) --questions 600 --output $(OUTCOMES)-extractive-train.jsonl.gz
	$(RECORD) --strategy extractive --split validation --no-plan --paths $(SHORT),$(FOUND) --questions 341 --output $(OUTCOMES)-extractive-validation.jsonl.gz
	$(RECORD) --strategy implementation --split train --constants --questions 150 --output $(OUTCOMES)-implementation-train.jsonl.gz
	$(RECORD) --strategy implementation --split validation --constants --questions 40 --output $(OUTCOMES)-implementation-validation.jsonl.gz
	$(RECORD) --strategy implementation --split train --no-plan --paths $(SHORT) --questions 600 --output $(OUTCOMES)-implementation-train.jsonl.gz
	$(RECORD) --strategy implementation --split validation --no-plan --paths $(SHORT) --questions 341 --output $(OUTCOMES)-implementation-validation.jsonl.gz
	$(RECORD) --strategy reasoning --split train --constants --questions 60 --output $(OUTCOMES)-reasoning-train.jsonl.gz
	$(RECORD) --strategy reasoning --split validation --constants --questions 20 --output $(OUTCOMES)-reasoning-validation.jsonl.gz

routers: $(TESTING)  ## Trains the bundled routers on the recordings, and exports them
	for strategy in capacity extractive implementation reasoning; do \
	    $(BIN)/python training/train.py --config training/bundled.toml --sweep --data $(DATA) \
	        --out build/runs/$$strategy --outcomes $(OUTCOMES)-$$strategy-train.jsonl.gz \
	        --validation $(OUTCOMES)-$$strategy-validation.jsonl.gz && \
	    $(BIN)/python training/export_onnx.py build/runs/$$strategy/conditioned/best.pt \
	        budgetmem/routers/small/$$strategy || exit 1; \
	done

report: $(TESTING)  ## The pages of results, from figures of evaluations
	$(REPORT) $(FIGURES)/*.jsonl.gz --out docs/results
	$(REPORT) $(FIGURES)/budgets/*.jsonl.gz $(FIGURES)/locomo-validation-extractive.jsonl.gz --out docs/results-by-budget
	$(REPORT) $(FIGURES)/backbones/*.jsonl.gz --out docs/results-other-backbones

serve: $(SERVING)
	$(BIN)/budgetmem assets pull $(PROFILE)
	$(BIN)/budgetmem serve --profile $(PROFILE) $(OPTIONS)

assets: $(SERVING)
	$(BIN)/budgetmem assets pull $(PROFILE)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

$(SERVING): pyproject.toml CMakeLists.txt $(wildcard csrc/*/*.?pp csrc/*/*/*.?pp csrc/*/CMakeLists.txt) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[embedded,http,mcp]'
	touch $@

# torch is for the tests of the transformers engine only; this release has a small CPU build.
$(TESTING): $(SERVING)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[embedded,train,dev]'
	touch $@

clean:  ## Removes the environment and everything built; pulled assets stay in the user cache
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
