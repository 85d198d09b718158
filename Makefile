# make demo   the whole road on the embedded sample, offline
# make test   lint, types and all tests
# make ui     the Dagster UI on http://127.0.0.1:3000
# make env    the environment in .venv, and nothing else
# make bench  measurements against peers; PART=fetch picks one part
# make experiments  the paper's experiments in miniature on ../shared/data; hours, resumable, writes docs/experiments.md
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test lint types pytest ui bench experiments env lock clean

env: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("NatureWatch needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

demo: $(READY)
	$(BIN)/naturewatch run --config conf/sample.yaml

ui: $(READY)
	$(BIN)/naturewatch ui

bench: $(READY)
	$(BIN)/python -m bench $(PART)

experiments: $(READY)
	$(BIN)/python -m bench.experiments

test: lint types pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar sql
	PYTHONWARNINGS=ignore $(BIN)/dagster definitions validate -w workspace.yaml --log-level warning

types: $(READY)
	$(BIN)/mypy

pytest: $(READY) chromium
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# The browser that drives the UI in tests; installed from the distribution where it is missing.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  (echo "installing chromium for the browser tests" && apt-get update -qq && apt-get install -y -qq chromium >/dev/null)

# Writes requirements.lock anew from the lower bounds in pyproject.toml. The CUDA libraries are left out: torch pins
# them itself where they apply, so that one lock serves machines with and without a GPU.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-lock/bin/python -m pip install --quiet --group dev 'hatchling>=1.27' 'editables>=0.5'
	.venv-lock/bin/python -m pip install --quiet .
	.venv-lock/bin/python -m pip freeze --exclude naturewatch --exclude pip \
	  | grep -vE '^(nvidia-|cuda-|triton==)' > requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv data test-artefacts
