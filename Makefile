# make run      install into .venv and start the lab in the foreground (ARGS="--chat-port 12345")
# make test     install with the test extra and run the tests
# make soak     the tests that need minutes
# make check    lint, format, types, the law of imports, every way of installing
# make bench    figures, side by side with other programs
# make install  the program, its units, manual and configuration (PREFIX=/usr/local DESTDIR=)
# make uninstall  what install put there; the state and a configuration of one's own stay
# make outside  install the outside programs that tests talk to (Debian, needs root)

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
ROOT   := $(if $(filter 0,$(shell id -u)),,sudo)
SOURCES := $(shell find netlabsvc twisted_plugins -type f -not -name '*.pyc' -not -name 'dropin.cache')
PLUGIN_CACHE = from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))

# Where `make install` puts things; systemd looks for units below /usr, /usr/local and /etc only.
PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system
LIB        := $(PREFIX)/lib/netlab
DOC        := $(PREFIX)/share/doc/netlab
MAN        := $(PREFIX)/share/man
# An absolute path, as pip writes it into scripts.
ROOTDIR    := $(if $(DESTDIR),$(abspath $(DESTDIR)))
MAN_PYTHON ?= $(ROOTDIR)$(LIB)/bin/python
UNITS      := $(notdir $(wildcard etc/systemd/netlab*))
PLACES      = sed 's|/usr/local/|$(PREFIX)/|g; s|/etc/netlab|$(SYSCONFDIR)/netlab|g'

.PHONY: run test soak check bench outside clean install install-program install-files uninstall

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

bench: $(VENV)/package $(VENV)/test $(VENV)/bench
	$(BIN)/python -m tests.bench $(ARGS)

outside:
	$(ROOT) apt-get update -qq
	# Postfix without a configuration: its package would start a server that listens everywhere.
	echo 'postfix postfix/main_mailer_type select No configuration' \
	    | $(ROOT) debconf-set-selections
	DEBIAN_FRONTEND=noninteractive $(ROOT) apt-get install -y -qq --no-install-recommends \
	    $$($(PYTHON) tests/support/outside.py)
	# nginx without the scripts of its package, which would do the same.
	test -x /usr/sbin/nginx || { cd "$$(mktemp -d)" && apt-get download -qq nginx \
	    && dpkg -x nginx_*.deb . && $(ROOT) install usr/sbin/nginx /usr/local/sbin; }

install: install-program install-files

# A venv of its own: no package of the system changes it. With DESTDIR it is built there for the
# place where it will be.
install-program:
	umask 022 && $(PYTHON) -m venv $(ROOTDIR)$(LIB)
	umask 022 && $(ROOTDIR)$(LIB)/bin/pip install -q --disable-pip-version-check --upgrade .
	umask 022 && cd / && $(ROOTDIR)$(LIB)/bin/python -c "$(PLUGIN_CACHE)"
	$(if $(ROOTDIR),grep -rlI '$(ROOTDIR)' $(ROOTDIR)$(LIB)/bin $(ROOTDIR)$(LIB)/pyvenv.cfg \
	    | xargs sed -i 's|$(ROOTDIR)$(LIB)|$(LIB)|g')
	install -d $(ROOTDIR)$(PREFIX)/bin $(ROOTDIR)$(PREFIX)/sbin
	ln -sf $(LIB)/bin/netlab $(ROOTDIR)$(PREFIX)/bin/netlab
	printf '#!/bin/sh\nexec $(LIB)/bin/twistd -n --pidfile= netlab "$$@"\n' \
	    > $(ROOTDIR)$(PREFIX)/sbin/netlabd
	chmod 755 $(ROOTDIR)$(PREFIX)/sbin/netlabd

# A configuration that is there stays; the new one is laid beside it.
install-files:
	install -d $(ROOTDIR)$(UNITDIR) $(ROOTDIR)$(SYSCONFDIR) $(ROOTDIR)$(DOC)
	install -d $(ROOTDIR)$(MAN)/man1 $(ROOTDIR)$(MAN)/man8
	for unit in $(UNITS); do \
	    $(PLACES) etc/systemd/$$unit > $(ROOTDIR)$(UNITDIR)/$$unit || exit 1; \
	done
	cd $(ROOTDIR)$(UNITDIR) && chmod 644 $(UNITS)
	new=$(ROOTDIR)$(SYSCONFDIR)/netlab.toml; \
	if test -e $$new && ! cmp -s etc/netlab.toml $$new; then new=$$new.new; fi; \
	install -m 644 etc/netlab.toml $$new
	install -m 644 etc/systemd/examples/* docs/operations.md $(ROOTDIR)$(DOC)
	$(MAN_PYTHON) docs/man.py netlab > $(ROOTDIR)$(MAN)/man1/netlab.1
	$(MAN_PYTHON) docs/man.py netlabd > $(ROOTDIR)$(MAN)/man8/netlabd.8
	chmod 644 $(ROOTDIR)$(MAN)/man1/netlab.1 $(ROOTDIR)$(MAN)/man8/netlabd.8

uninstall:
	cd $(ROOTDIR)$(UNITDIR) && rm -f $(UNITS)
	rm -f $(ROOTDIR)$(MAN)/man1/netlab.1 $(ROOTDIR)$(MAN)/man8/netlabd.8
	rm -f $(ROOTDIR)$(PREFIX)/bin/netlab $(ROOTDIR)$(PREFIX)/sbin/netlabd
	rm -rf $(ROOTDIR)$(LIB) $(ROOTDIR)$(DOC)
	rm -f $(ROOTDIR)$(SYSCONFDIR)/netlab.toml.new
	! cmp -s etc/netlab.toml $(ROOTDIR)$(SYSCONFDIR)/netlab.toml \
	    || rm $(ROOTDIR)$(SYSCONFDIR)/netlab.toml

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

$(VENV)/test $(VENV)/check $(VENV)/bench: $(VENV)/%: $(VENV)/dependencies
	$(BIN)/pip install -q "$$(printf '.[%s]' $*)"
	touch $@
