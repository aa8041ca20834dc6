# make demo: sets up and trains a team on 3m over Flower.   make test: sets up and runs all checks but the system tests.
# make docs: sets up and builds the documentation site into site/.
PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs

# Tests start hundreds of Python processes: each would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast test-system test-containers coverage compiled image nginx-image starcraft-image setup lint clean protos benchmark docs

demo: $(STAMP)
	$(BIN)/pps-qmix train --map 3m --strategy a-pps --base vdn --preset quick

# Lint and types take one core while the simulator is compiled and the first tests run on the other.
test: $(STAMP)
	$(MAKE) --no-print-directory -j 2 lint test-fast

test-fast: compiled
	$(BIN)/python -m pytest -m 'not system and not containers' -n 3 --dist load --maxschedchunk 1

# Real federations, faults and hosts. Three at once: a test waits for Flower half of its time, and starts a dozen processes.
test-system: compiled
	$(BIN)/python -m pytest -m system -n 3 --dist load --maxschedchunk 1

# Compiles the simulator once, or each process that plays at the same time would compile it.
compiled: $(STAMP)
	$(BIN)/python -m tests.compiled

# All tests but the containers, with the processes that they start; the report names what no test reaches.
coverage: compiled
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 3 --dist load --maxschedchunk 1
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Builds the images and runs compose.yaml and compose.secure.yaml; skipped, and said so, where no Docker engine answers.
test-containers: $(STAMP)
	$(BIN)/python -m pytest -m containers -rs tests/containers

# BUILD_FLAGS: flags of docker build, as --build-arg BASE=... or --build-context wheels=DIR.
image:
	docker build $(BUILD_FLAGS) --tag pps-qmix .

nginx-image:
	docker build $(BUILD_FLAGS) --target nginx --tag pps-qmix-nginx .

starcraft-image:
	docker build $(BUILD_FLAGS) --target starcraft --tag pps-qmix-starcraft .

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(STAMP)

# Again only when what is to be installed has changed. TORCH_INDEX=URL names the index of PyTorch; empty, the package index.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; name another with PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python scripts/torch_build.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps pysc2==4.0.0
	@touch $@

protos: $(STAMP)
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. envproxy/battle.proto client/agent.proto

# --strict: a broken link, a missing anchor or a page outside the navigation is an error.
docs: $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "the site is in site/; to read it: python3 -m http.server 8080 --directory site"

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

benchmark: $(STAMP)
	$(BIN)/python -m benchmarks.skirmish

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
