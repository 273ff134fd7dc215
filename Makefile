# `make` alone lists the targets. PYTHON=python3.12 chooses another Python, ARGS='...' goes to the command behind.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip of the system, working in .venv: Debian's Python comes without the means to put a pip there.
PIP = $(PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python
INSTALL = $(PIP) install --quiet --progress-bar off --constraint constraints.txt
WHEEL := .build/wheel

.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench wheel tools clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/installed-cpu ## make .venv with what serving on a CPU needs

demo: $(VENV)/installed-demo ## sample cameras through an embedded broker: a live table and a contact sheet
	$(BIN)/python -m demo $(ARGS)

test: $(VENV)/installed-dev tools ## all tests, against Apache Kafka itself
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/installed-dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed-dev tools ## the gateway beside its limits and a naive loop, on Apache Kafka
	$(BIN)/python -m benchmarks gateway $(ARGS)

wheel: $(BIN)/python ## build the wheel, and start it where nothing else is installed
	rm -rf $(WHEEL)
	$(PIP) wheel --quiet --no-deps --wheel-dir $(WHEEL) .
	$(PYTHON) -m venv --without-pip $(WHEEL)/venv
	$(PYTHON) -m pip --disable-pip-version-check --python $(WHEEL)/venv/bin/python install --quiet \
		--constraint constraints.txt $(WHEEL)/*.whl
	cd $(WHEEL) && venv/bin/framegate --help > /dev/null \
		&& for module in runtime.serve runtime.assess stream.publish stream.tail; do \
			venv/bin/python -m $$module --help > /dev/null || exit 1; \
		done
	@ls $(WHEEL)/*.whl

tools:
	@command -v java > /dev/null && command -v mvn > /dev/null && command -v g++ > /dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get > /dev/null \
		&& apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless maven g++; \
	} || { echo "Java 17 and Maven (for Apache Kafka) or g++ (for the CUDA kernel's tests) are missing:" \
		"sudo apt-get install openjdk-17-jre-headless maven g++" >&2; exit 2; }

clean: ## remove what make made
	rm -rf $(VENV) .build dist demo-output .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "framegate needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -m pip --version > /dev/null 2>&1 \
		|| { echo "$(PYTHON) has no pip: sudo apt-get install python3-pip" >&2; exit 2; }
	@$(PYTHON) -m venv --without-pip $(VENV) \
		|| { echo "$(PYTHON) cannot make a virtual environment: sudo apt-get install python3-venv" >&2; exit 2; }

$(VENV)/installed-cpu: EXTRAS := cpu
$(VENV)/installed-demo: EXTRAS := cpu,demo
$(VENV)/installed-dev: EXTRAS := cpu,demo,dev,train,tensorrt-rtx
$(VENV)/installed-%: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable '.[$(EXTRAS)]'
	@touch $@
