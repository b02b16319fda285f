# make run      install into .venv and start the lab in the foreground (ARGS="--chat-port 12345")
# make test     install with the test extra and run the tests
# make soak     the tests that need minutes
# make check    lint, format, types, the law of imports, the two ways of installing
# make bench    figures, side by side with other programs
# make outside  install the outside programs that tests talk to (Debian, needs root)

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
ROOT   := $(if $(filter 0,$(shell id -u)),,sudo)
SOURCES := $(shell find netlabsvc twisted_plugins -type f -not -name '*.pyc' -not -name 'dropin.cache')
PLUGIN_CACHE = from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))

.PHONY: run test soak check bench outside clean

run: $(VENV)/package
	@trap : INT; $(BIN)/twistd -n --pidfile= netlab $(ARGS) || test $$? -eq 130

test: $(VENV)/package $(VENV)/test
	$(BIN)/pytest $(ARGS)

soak: $(VENV)/package $(VENV)/test
	$(BIN)/pytest -m soak $(ARGS)

check: $(VENV)/package $(VENV)/test $(VENV)/check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_law_of_imports.py
	sh tests/install_and_list.sh $(PYTHON)

bench: $(VENV)/package $(VENV)/test
	$(BIN)/python -m tests.bench $(ARGS)

outside:
	$(ROOT) apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $(ROOT) apt-get install -y -qq --no-install-recommends \
	    $$($(PYTHON) tests/support/outside.py)

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/dependencies: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -U pip setuptools
	$(BIN)/pip install -q .
	touch $@

# The package is installed anew whenever one of its files changed: tests run what users run.
$(VENV)/package: $(VENV)/dependencies $(SOURCES)
	$(BIN)/pip install -q --no-deps --no-build-isolation --force-reinstall .
	$(BIN)/python -c "$(PLUGIN_CACHE)"
	touch $@

$(VENV)/test $(VENV)/check: $(VENV)/%: $(VENV)/dependencies
	$(BIN)/pip install -q "$$(printf '.[%s]' $*)"
	touch $@
