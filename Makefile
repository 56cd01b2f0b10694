# Needs make and Python 3.11 to 3.13, nothing else.

# The first Python here that fits and can make environments; say PYTHON=... for another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
  2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
RUNS := out/runs/plan
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Else each of a dozen processes compiles Celery for itself: seven seconds, not one.
unexport PYTHONDONTWRITEBYTECODE

# Input of `make plan` that is not there stops make at once, before any set-up.
ifneq ($(STATIC),)
ifneq ($(shell test -f '$(STATIC)' && test -r '$(STATIC)' && echo yes),yes)
$(error STATIC=$(STATIC) is not a readable file; name a GTFS zip, such as STATIC=feed.zip)
endif
endif
ifneq ($(REALTIME),)
ifneq ($(shell test -d '$(REALTIME)' && test -r '$(REALTIME)' && echo yes),yes)
$(error REALTIME=$(REALTIME) is not a readable folder; name one with GTFS-Realtime files)
endif
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup plan test lint types tests notebooks notebooks-update docs run bench lab lock clean

## help: list the targets
help:
	@awk -F': ' '/^## / { sub(/^## /, ""); printf "  %-17s %s\n", $$1, $$2 }' Makefile

## setup: make .venv and install the lock into it, hashes checked (once)
setup: .venv/installed

# Source-only packages are built by the locked build backend, hence it comes first.
# What a worker imports is compiled now: else the first run would measure compiling.
# So is the simulation's kernel, a quarter of a minute: else the first plan would do it.
.venv/installed: requirements.lock worker/requirements.lock
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 with the venv module found: install one, or say make PYTHON=/path/to/python3." >&2; exit 1; }
	@echo "Setting up .venv: $$(grep -c '==' requirements.lock) pinned packages, about two minutes, once."
	@$(PYTHON) -m venv --clear .venv
	@awk '/^[^ ]/ { keep = /^setuptools==/ } keep' requirements.lock > .venv/backend.lock
	@$(PY) -m pip install -qq --require-hashes --no-deps -r .venv/backend.lock
	@$(PY) -m pip install -qq --require-hashes --no-deps --no-build-isolation -r worker/requirements.lock
	@$(PY) -m pip install -qq --no-compile --require-hashes --no-deps --no-build-isolation -r requirements.lock
	@$(PY) -m pip install -qq --no-deps --no-build-isolation -e .
	@$(PY) -m compileall -q worker
	@$(PY) -c "from simulation import kernel, systems; kernel.run(*systems.draw(systems.SYSTEMS[0], 100, 0))"
	@touch $@

## plan: measure real workers, calibrate the model, plan (QUICK=1 STATIC=zip REALTIME=folder)
plan: .venv/installed
	@exec $(PY) -m loadtests matrix plan --out $(RUNS) $(if $(filter-out 0,$(QUICK)),--quick) \
	  $(if $(STATIC),--static '$(STATIC)') $(if $(REALTIME),--realtime '$(REALTIME)') >/dev/null
	@exec $(PY) -m simulation plan $(RUNS) $(if $(filter-out 0,$(QUICK)),--quick)

## test: lint, types, tests on real servers, notebooks
test: lint types tests notebooks

lint: .venv/installed
	@$(PY) -m ruff check -q .
	@$(PY) -m ruff format -q --check .

types: .venv/installed
	@$(PY) -m mypy

tests: .venv/installed
	@exec $(PY) -m pytest -q

## notebooks: run every notebook and compare each output with the committed one
notebooks: .venv/installed
	@exec $(PY) -m pytest -q --nbval --nbval-current-env --nbval-sanitize-with notebooks/nbval_sanitize.cfg notebooks

## notebooks-update: run every notebook and keep what it says (review the difference)
notebooks-update: .venv/installed
	@exec $(PY) -m jupyter nbconvert --log-level WARN --to notebook --execute --inplace notebooks/*.ipynb

## docs: fill the generated tables of the documents
docs: .venv/installed
	@$(PY) -m pytest -q --rewrite tests/test_documents.py -k block

## run: one load run of real workers (SCENARIO=disruption USERS=1000)
run: .venv/installed
	@exec $(PY) -m loadtests run $(or $(SCENARIO),disruption) --users $(or $(USERS),1000)

## bench: what each part costs beside the bare thing (ROOMS="timetable realtime")
bench: .venv/installed
	@exec $(PY) -m loadtests bench $(ROOMS) $(if $(TRANSIT_DATA),--data '$(TRANSIT_DATA)')

## lab: open JupyterLab on the notebooks
lab: .venv/installed
	@exec $(PY) -m jupyter lab notebooks

RESOLVE = uv pip compile -q pyproject.toml --universal --fork-strategy fewest \
  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
## lock: resolve pyproject.toml again and rewrite both locks (needs uv)
lock:
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	@$(RESOLVE) --all-extras --group build -o requirements.lock $(if $(UPGRADE),--upgrade)
	@$(RESOLVE) -c requirements.lock -o worker/requirements.lock

## clean: remove .venv and caches (out/ stays)
clean:
	@rm -rf .venv *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
