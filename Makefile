# Every target that has a `##` comment is listed by `make help`.

PYTHON ?= python3
VENV := .venv
FUZZ_CXX ?= $(firstword $(shell command -v clang++) $(wildcard /usr/bin/clang++-*))
FUZZ_SECONDS ?= 600
JOBS ?= 2
# Most tests wait for other processes most of the time. Those of the cluster share its names.
TEST_PROCESSES ?= 4
DEMO_ARGS ?=
SCENARIO ?=
PYTHONS ?= python3.10 python3.11 python3.12 python3.13 python3.14
BENCH_ARGS ?=
RELIABILITY_ARGS ?=
SIM_SEEDS ?= 10000

PACKAGES := libsqlite3-dev libzstd-dev libxxhash-dev doctest-dev cmake g++ make patch zookeeper \
            default-jre-headless
FUZZERS := $(basename $(notdir $(wildcard native/fuzz/fuzz_*.cc)))
INSTALLED := $(VENV)/.installed
BUILD_INPUTS := setup.py pyproject.toml $(shell find compat -type f) $(shell find native -not -path 'native/tests*' \
                  -not -path 'native/fuzz*' -not -path 'native/sim*' -type f)

# Prerequisites are steps, in this order.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help deps venv libmesos test python-test pythons native-test sim asan tsan fuzz lint demo demo-framework cluster vagrant-validate bench bench-page reliability mesos-extra soak clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1: \2/p' $(MAKEFILE_LIST)

deps: ## Install the Debian packages that are missing
	@missing=; \
	for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed \
	    || missing="$$missing $$package"; \
	done; \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c 'import os, sysconfig; \
	  os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null \
	    || missing="$$missing python3-dev"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	echo "Missing Debian packages:$$missing"; \
	root=; \
	if [ "$$(id -u)" != 0 ]; then root=sudo; fi; \
	if ! command -v apt-get >/dev/null || ! $$root true; then \
	  echo "Cannot install them from here (no apt-get, or no rights). Please have them installed," \
	       "then run make again." >&2; \
	  exit 1; \
	fi; \
	$$root apt-get update -q && \
	  $$root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing

venv: deps $(INSTALLED) ## Create .venv with the package, its native part and the test tools

$(INSTALLED): $(BUILD_INPUTS)
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e '.[test]'
	touch $@

libmesos: venv ## Fetch libmesos, unless it is already there
	$(VENV)/bin/aurora-store libmesos fetch

test: native-test python-test ## Run all tests: C++, SQLAlchemy's suite, Python

python-test: venv libmesos ## Run SQLAlchemy's suite and the Python tests
	$(VENV)/bin/python -m pytest tests/dialect -c tests/dialect/pytest.ini -q
	$(VENV)/bin/python -m pytest tests/cluster
	$(VENV)/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --ignore tests/cluster

pythons: ## Run python-test on each of PYTHONS that is there
	@passed=; failed=; missing=; \
	for python in $(PYTHONS); do \
	  if ! $$python --version >/dev/null 2>&1; then \
	    missing="$$missing $$python"; \
	  elif $(MAKE) python-test PYTHON=$$python VENV=build/pythons/$${python##*/}; then \
	    passed="$$passed $$python"; \
	  else \
	    failed="$$failed $$python"; \
	  fi; \
	done; \
	echo "Passed:$${passed:- none}. Failed:$${failed:- none}. Not on this machine:$${missing:- none}."; \
	test -n "$$passed" && test -z "$$failed"

native-test: deps ## Build and run the C++ unit tests and the simulation, also with planted bugs
	cmake -S native -B build/native -DAURORA_TESTS=ON -DAURORA_SIM=ON -DAURORA_PLANTS=ON
	cmake --build build/native --parallel $(JOBS)
	ctest --test-dir build/native --output-on-failure

sim: deps ## Run SIM_SEEDS seeds of the simulation (10000)
	cmake -S native -B build/native -DAURORA_TESTS=ON -DAURORA_SIM=ON -DAURORA_PLANTS=ON
	cmake --build build/native --parallel $(JOBS) --target aurora_sim
	build/native/aurora_sim --seeds $(SIM_SEEDS) --jobs $(JOBS)

asan: deps ## Run the C++ unit tests and the simulation under the address and undefined-behaviour sanitizers
	cmake -S native -B build/asan -DAURORA_TESTS=ON -DAURORA_SIM=ON -DAURORA_SIM_SEEDS=200 \
	  -DAURORA_SANITIZE=address,undefined
	cmake --build build/asan --parallel $(JOBS)
	ctest --test-dir build/asan --output-on-failure

tsan: deps ## Run the C++ unit tests under the thread sanitizer
	cmake -S native -B build/tsan -DAURORA_TESTS=ON -DAURORA_SANITIZE=thread
	cmake --build build/tsan --parallel $(JOBS)
	ctest --test-dir build/tsan --output-on-failure

fuzz: deps ## Run each fuzzer for FUZZ_SECONDS (600); needs clang
	@test -n "$(FUZZ_CXX)" || { echo "clang++ is missing: install clang" >&2; exit 1; }
	cmake -S native -B build/fuzz -DAURORA_FUZZ=ON -DCMAKE_CXX_COMPILER=$(FUZZ_CXX)
	cmake --build build/fuzz --parallel $(JOBS) --target $(FUZZERS)
	set -e; for fuzzer in $(FUZZERS); do \
	  mkdir -p build/fuzz/corpus/$$fuzzer; \
	  build/fuzz/$$fuzzer -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build/fuzz/ \
	    build/fuzz/corpus/$$fuzzer tests/golden/log-format-v1; \
	done

lint: venv ## Check style and types of the Python code
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy --strict aurora_store

demo: venv libmesos ## Run the demonstration, with DEMO_ARGS
	$(VENV)/bin/aurora-store demo $(DEMO_ARGS)

demo-framework: venv libmesos ## Kill the leaders of a Mesos framework, with DEMO_ARGS
	$(VENV)/bin/aurora-store demo-framework $(DEMO_ARGS)

cluster: PACKAGES += iproute2 libfaketime
cluster: venv libmesos ## Run three machines that are namespaces through SCENARIO, or all; needs root
	$(VENV)/bin/python -m vagrant.namespaces run $(SCENARIO)

vagrant-validate: PACKAGES := vagrant
vagrant-validate: deps ## Check vagrant/Vagrantfile; needs no hypervisor
	cd vagrant && vagrant validate --ignore-provider

bench: venv libmesos ## Run the benchmarks, with BENCH_ARGS; results in bench-results
	$(VENV)/bin/python -c 'import matplotlib, psycopg' 2>/dev/null \
	  || $(VENV)/bin/python -m pip install -q --disable-pip-version-check -e '.[test,bench]'
	$(VENV)/bin/python -m benchmarks --json bench-results/results.json --plots bench-results $(BENCH_ARGS)

bench-page: venv ## Put the tables and plots of bench-results into docs/benchmarks.md
	$(VENV)/bin/python -m benchmarks.page bench-results/results.json

reliability: venv libmesos ## Live through a compressed day of load, for docs/reliability.md
	$(VENV)/bin/python -c 'import matplotlib' 2>/dev/null \
	  || $(VENV)/bin/python -m pip install -q --disable-pip-version-check -e '.[test,bench]'
	$(VENV)/bin/python -m benchmarks.reliability --json bench-results/reliability.json \
	  --page docs/reliability.md $(RELIABILITY_ARGS)

mesos-extra: venv libmesos ## Install the extra "mesos" afresh for each of PYTHONS, and try it
	AURORA_STORE_PYTHONS="$(PYTHONS)" $(VENV)/bin/python -m pytest tests/dev/test_mesos_extra.py -v

soak: venv libmesos ## Run the long tests that end replicas at random
	$(VENV)/bin/python -m pytest tests/soak -q -s

clean: ## Remove all that was built, and .venv
	rm -rf build dist *.egg-info .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find aurora_store -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
