# Two commands are enough: `make demo` and `make test`. Both set up first, once: `make demo` what
# running needs, `make test` the rest, too.
PYTHON ?= python3
BIN := .venv/bin
SHELL := bash
# the simulator's matrix products are small: more threads than one only cost
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test test-door generate-data load-data ui dashboard docs bench chaos audit clean setup setup-all setup-spark test-spark test-deploy lock lint \
  types arrows dbt-parse wheel

setup: .venv/.ready .env

setup-all: .venv/.ready-all .env

# Spark beside what is there; Java comes from the system
setup-spark: .venv/.ready-spark .env

.venv/.ready: requirements.txt pyproject.toml | .venv/bin/python
	$(call install,requirements.txt)
	@touch $@

.venv/.ready-all: requirements-all.txt pyproject.toml | .venv/bin/python
	$(call install,requirements-all.txt)
	@touch .venv/.ready $@

.venv/.ready-spark: requirements-spark.txt pyproject.toml | .venv/bin/python
	$(call install,requirements-spark.txt)
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up, once: Python's environment in .venv"
	@$(PYTHON) -m venv .venv

# The list is complete, and pip cannot match hashes with a package that is asked for by its extras.
# Compiled on all cores; where PYTHONDONTWRITEBYTECODE is set, as in many containers, each command
# would compile for itself what it imports, and take twice as long.
# pip's own output is a page for each package: it is counted instead, and shown where it fails.
define install
@echo "Setting up, once: $$(grep -c == $(1)) packages of $(1), about a minute"
@set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes \
  --no-compile --progress-bar off -r $(1) 2>&1 | tee .venv/install.log | awk \
  '/^Collecting/ && ++n % 25 == 0 {print "  " n " packages fetched"; fflush()} \
  /^Installing/ {print "  unpacking them"; fflush()}' \
  || { tail -n 20 .venv/install.log; exit 1; }
@echo "  compiling them"
@# some packages have files for other versions of Python, which cannot be compiled
@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null || true
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endef

# `dagster` reads .env in the folder that it is started from; without a home it forgets its history.
# It puts what .env says above what is exported: hence NAME=$${NAME:-value}. What else .env holds stays.
.env: sprint_platform/dagster.yaml
	@mkdir -p .dagster && cp sprint_platform/dagster.yaml .dagster/dagster.yaml
	@grep -qs '^DAGSTER_HOME=' .env || \
	  printf 'DAGSTER_HOME="$${DAGSTER_HOME:-%s}"\n' '$(CURDIR)/.dagster' >> .env
	@grep -qs '^OPENBLAS_NUM_THREADS=' .env || \
	  printf 'OPENBLAS_NUM_THREADS=$${OPENBLAS_NUM_THREADS:-1}\n' >> .env
	@touch .env

demo: setup
	@$(BIN)/sprint demo

test: setup-all
	@$(MAKE) --no-print-directory --jobs=2 lint types arrows dbt-parse
	@# whole files to a worker, in conftest.py's order: what a file builds once is built once
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# what takes too long for every commit
test-door: setup-all
	@$(BIN)/python -m pytest -m door

test-spark: setup-all setup-spark
	@$(BIN)/python -m pytest -m spark -s

test-deploy: setup-all
	@$(BIN)/python -m pytest -m deploy

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy sprint_platform

arrows:
	$(BIN)/lint-imports

# what it leaves out, and why, is in pyproject.toml and beside each `nosec`
audit: setup-all
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive sprint_platform

dbt-parse:
	SPRINT_DATA_DIR="$${SPRINT_DATA_DIR:-$(CURDIR)/data}" DBT_PROFILES_DIR=sprint_dbt \
	  $(BIN)/dbt --quiet parse --project-dir sprint_dbt --target-path "$(CURDIR)/.cache/dbt-parse" \
	  --log-path "$(CURDIR)/.cache/dbt-parse"

# the web store; settings such as: make load-data STORE="--preset small"
generate-data: setup
	@$(BIN)/sprint storefront generate $(STORE)

load-data: setup
	@$(BIN)/sprint storefront generate --load $(STORE)

ui: setup
	@$(BIN)/sprint ui

dashboard: setup
	@$(BIN)/sprint dashboard

# static pages in build/docs-site; nothing has to be run before it
docs: setup-all
	@$(BIN)/sprint docs

bench: setup-all
	@$(BIN)/python -m sprint_platform_tests.bench

# what dies, fails or crowds; PART is kills, errors, crowd, years or hands. The same command goes on
# where it ended; ONLY names one case of a page in docs/chaos.
chaos: setup-all
	@test -n "$(PART)" || { echo "PART is one of kills, errors, crowd, years, hands"; exit 1; }
	@$(BIN)/python -m sprint_platform_tests.chaos $(PART) $(if $(MINUTES),--minutes $(MINUTES)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only "$(ONLY)")

clean:
	@# .env may hold somebody's credentials
	if [ -f .env ] && ! grep -qvE '^(DAGSTER_HOME|OPENBLAS_NUM_THREADS)=' .env; then rm .env; fi
	rm -rf .venv .dagster .cache build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@# but what a studio delivered, and what was landed of it
	find data -mindepth 1 -maxdepth 1 ! -name README.md ! -name landing ! -name landed -exec rm -rf {} +
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# the wheel, tried away from the checkout; it is left in dist/
wheel: setup-all
	@.ci/wheel dist

# writes all lists anew from pyproject.toml; needs uv
# of lifetimes only a file is read: what it would need to run is left out
lock:
	$(call lock,requirements-all.txt,--extra dev $(addprefix --no-emit-package ,autograd dill pandas))
	$(call lock,requirements.txt,--extra dashboard --extra postgres --constraint requirements-all.txt)
	$(call lock,requirements-spark.txt,--extra dashboard --extra postgres --extra spark --constraint requirements-all.txt)

define lock
uv pip compile pyproject.toml $(2) --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-annotate --no-strip-extras --no-header --output-file $(1)
endef
