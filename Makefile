# Two targets do all the set-up on a fresh machine:
#   make demo    builds, installs and runs the demo
#   make test    builds, installs what the tests need, and runs them all
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PIP := $(VENV)/bin/pip --disable-pip-version-check -q
PYTEST := $(VENV)/bin/pytest
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
SOURCES = $(shell find src cmake -type f) CMakeLists.txt pyproject.toml
ACTIVITY = $(wildcard ../shared/data/web_activity.log.gz)

.PHONY: help demo test build lint test-native test-sanitized fuzz test-python bench clean

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

demo: build ## Build, install and run the demo.
	$(VENV)/bin/pylog demo $(if $(ACTIVITY),--activity $(ACTIVITY))

test: test-tools build lint test-native test-sanitized test-python ## Run every test.

build: $(VENV)/.installed ## Build the wheel and install it into .venv.

$(VENV)/bin/pip:
	python3 -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'

$(VENV)/.installed: $(VENV)/bin/pip $(SOURCES)
	tools/system_packages.sh
	$(PIP) install .
	touch $@

.PHONY: test-tools
test-tools: $(VENV)/bin/pip
	tools/system_packages.sh --test
	$(PIP) install --group dev --group clients
	tools/install_test_tools.sh

lint: build ## Style, types, import contracts, C warnings as errors.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

# Three builds of the C tests: gcc with warnings as errors, clang with address and
# undefined-behaviour sanitizers, clang with the thread sanitizer.
NATIVE = cmake -G Ninja -DPYLOG_TESTS=ON -DPYLOG_WERROR=ON

test-native: test-tools ## The C tests with gcc, warnings as errors.
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(NATIVE) -S . -B build/native-gcc -DCMAKE_BUILD_TYPE=Release >/dev/null
	$(VENV)/bin/ninja -C build/native-gcc --quiet
	ctest --test-dir build/native-gcc --output-on-failure -j $(JOBS)

test-sanitized: test-tools ## The C tests under the address, undefined and thread sanitizers.
	for kind in address,undefined thread; do \
	  build=build/native-$${kind%%,*}; \
	  PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(NATIVE) -S . -B $$build -DCMAKE_BUILD_TYPE=Debug \
	    -DCMAKE_C_COMPILER=clang -DPYLOG_SANITIZE=$$kind >/dev/null; \
	  $(VENV)/bin/ninja -C $$build --quiet; \
	  ctest --test-dir $$build --output-on-failure -j $(JOBS); \
	done

fuzz: test-sanitized ## Every fuzz target for FUZZ_SECONDS (the tests run each for 3 s).
	tools/fuzz.sh build/native-address $(FUZZ_SECONDS)

# A machine under load may miss a time limit: such a test gets a second try, and the summary names
# it (-rR). tests/conftest.py does the same for tests with other people's clients, brokers and installers.
test-python: build test-tools ## The Python tests, with real clients.
	$(PYTEST) -n $(JOBS) --dist loadgroup -q --reruns 2 --only-rerun TimeoutError -rR
	$(PYTEST) benchmarks -q --benchmark-disable

bench: build ## The benchmarks of the pieces; times and bytes/s below build/benchmarks.
	$(PIP) install --group dev --group clients
	$(PYTEST) benchmarks -q --benchmark-columns=median,iqr,rounds \
	  --benchmark-storage=file://build/benchmarks --benchmark-save=pieces

clean: ## Remove what was built.
	rm -rf build dist $(VENV) .cache
