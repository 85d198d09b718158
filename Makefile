# make demo   the whole pipeline on the embedded sample, offline
# make test   lint, types and all tests
# make ui     the Dagster UI on http://127.0.0.1:3000
# make env    the environment in .venv, and nothing else: fetches 3.4 GB, takes 6.8 GB of disk and five to ten minutes;
#             2.4 GB of it, and 4.1 GB of the disk, are CUDA's libraries, which PyPI's torch needs on Linux, GPU or not
# make env TORCH=cpu  without them, on a machine without a GPU: torch comes from download.pytorch.org, all else from PyPI
# make audit  dist/sbom.cdx.json, and the lock held against known vulnerabilities (needs the network)
# make bench  measurements against peers; PART=fetch picks one part
# make reference  docs/configuration.md and docs/commands.md, from the settings and the commands
# make experiments  the paper's experiments in miniature on ../shared/data; hours, resumable, writes docs/experiments.md
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
TORCH ?= pypi
TORCH_CPU := https://download.pytorch.org/whl/cpu

# What a pipe returns is what its first command returns, if that failed.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
# pip's lines as one line, where a person looks; its errors are on standard error, and stay.
define COUNTED
import sys
looks, number = sys.stdout.isatty(), 0
for line in sys.stdin:
    words = line.split()
    package = words[1].rpartition("/")[2] if words[:1] in (["Collecting"], ["Processing"]) else ""
    number += bool(package)
    if looks and package:
        print(f"\r\033[K  {number} of {max(number, int(sys.argv[1]))} packages: {package[:40]}", end="", flush=True)
    elif looks and words[:1] == ["Installing"]:
        print(f"\r\033[K  unpacking {number} packages", end="", flush=True)
print("\r\033[K" * looks, end="")
endef
export COUNTED

.PHONY: demo test lint types pytest chromium ui bench reference experiments env audit lock clean

env: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("NatureWatch needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@echo "Making the environment in .venv, once: $(if $(filter cpu,$(TORCH)),torch for processors from $(TORCH_CPU),3.4 GB to fetch and 6.8 GB on disk, most of it CUDA (none of it with TORCH=cpu))"
	@echo "It takes five to ten minutes on an ordinary connection; what was fetched is kept if you stop it."
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),cpu)
	@# A version without a label, as in the lock, is satisfied by the one with +cpu.
	@$(BIN)/python -u -m pip install --index-url $(TORCH_CPU) $$(grep -E '^torch(vision)?==' requirements.lock) | $(PYTHON) -c "$$COUNTED" 12
endif
	@$(BIN)/python -u -m pip install --requirement requirements.lock | $(PYTHON) -c "$$COUNTED" $$(grep -c == requirements.lock)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

demo: $(READY)
	$(BIN)/naturewatch run --config conf/sample.yaml

ui: $(READY)
	$(BIN)/naturewatch ui

bench: $(READY)
	$(BIN)/python -m bench $(PART)

reference: $(READY)
	$(BIN)/python -m docs.reference

experiments: $(READY)
	$(BIN)/python -m bench.experiments --write

test: lint types pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar sql
	$(BIN)/dg check defs

types: $(READY)
	$(BIN)/mypy

# Of three workers on two cores one mostly waits for servers and disks.
pytest: $(READY) chromium
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

# The browser that drives the UI in tests; installed from the distribution where it is missing.
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

# The list of components is made from what is installed. pip-audit skips a package that PyPI does not answer for and
# still reports "no known vulnerabilities"; --strict makes it an error.
audit: $(READY)
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-audit/bin/python -m pip install --quiet --group audit
	mkdir -p dist
	.venv-audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/sbom.cdx.json .venv
	@echo "components: dist/sbom.cdx.json"
	.venv-audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off \
	  --requirement requirements.lock \
	  || { echo "AUDIT FAILED: a vulnerability is listed above, or PyPI gave no answer (then nothing is known)" >&2; exit 1; }

clean:
	rm -rf .venv .venv-audit dist test-artefacts
