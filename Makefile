# Everything a newcomer or CI runs. Each target builds what it needs; Python >= 3.11 and make suffice.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
FLASK_VERSION := 3.1.3
# Processes that share the tests. JOBS=0 runs them in one, for a debugger or to see what they print.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo browser test nightly scale check lint types layers format upstream conformance \
	bench bench-check bench-docs bench-beside bench-realtime growth guard clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## Serve the example blog on http://127.0.0.1:5000
	cd examples/blog && $(abspath $(BIN))/asyncflask --app blog run

browser:  ## Install Chromium, which tests the pages of the examples (Debian, Ubuntu; as root)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver

test: $(STAMP)  ## Run the test suite (ARGS=tests/wsgi for a part)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

nightly: $(STAMP)  ## Compare with werkzeug over hundreds of thousands of generated cases (some minutes)
	$(BIN)/python -m pytest tests/nightly -s $(ARGS)

scale: $(STAMP)  ## Test with thousands of clients: nothing leaks, memory stays (4 minutes)
	$(BIN)/python -m pytest tests/scale -rP -n $(JOBS) $(ARGS)

check: lint types layers  ## Lint, types and layers

lint: $(STAMP)  ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

layers: $(STAMP)  ## import-linter: imports point down only
	$(BIN)/lint-imports

format: $(STAMP)  ## Format the code and sort its imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

upstream: $(STAMP) .upstream/flask-$(FLASK_VERSION)  ## Download Flask's source and run its tutorial app on asyncflask
	$(BIN)/python -m tests.conformance.tutorial .upstream/flask-$(FLASK_VERSION)/examples/tutorial

.upstream/flask-$(FLASK_VERSION): | $(STAMP)
	@mkdir -p .upstream
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary flask \
		-d .upstream flask==$(FLASK_VERSION)
	tar -xzf .upstream/flask-$(FLASK_VERSION).tar.gz -C .upstream

conformance: $(STAMP)  ## Run upstream suites under Flask and under asyncflask (SUITE=name for one)
	$(BIN)/python -m tests.conformance $(SUITE)

bench: $(STAMP)  ## Measure what a request costs beside all peers (25 minutes; ONLY=str,starlette, QUICK=1)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only '$(ONLY)') $(if $(QUICK),--quick) $(ARGS)

bench-check: $(STAMP)  ## Look at the answers of all peers, in process and under their servers (ONLY=falcon)
	$(BIN)/python -m benchmarks.check $(ONLY)

bench-docs: $(STAMP)  ## Write the figures of benchmarks/results.json (or FILE) into the documentation
	$(BIN)/python -m benchmarks.publish $(FILE)

bench-beside: $(STAMP)  ## Measure how soon an async view answers beside 2,000 sync requests
	$(BIN)/python -m benchmarks.beside $(ARGS)

bench-realtime: $(STAMP)  ## Measure WebSockets and server-sent events beside the peers
	$(BIN)/python -m benchmarks.realtime $(ARGS)

growth: $(STAMP)  ## Measure how the cost of a request grows, and what an import and an idle worker take
	$(BIN)/python -m benchmarks.growth --json benchmarks/growth.json $(ARGS)

guard: $(STAMP)  ## Fail if a hot path executes 5 % more than benchmarks/guard.json (ARGS=--write accepts)
	$(BIN)/python -m benchmarks.guard $(ARGS)

clean:  ## Remove the environment and the caches
	rm -rf $(VENV) .venv-peers* .benchmarks .upstream .conformance .mypy_cache .ruff_cache .pytest_cache dist
