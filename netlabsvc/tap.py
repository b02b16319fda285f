"""What twistd asks for: the options of ``twistd netlab`` and the service they describe."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from twisted.application.service import MultiService
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.logfile import LogFile

from netlabsvc import __version__, config, service
from netlabsvc.logs import Observer


class Options(usage.Options):
    """One option for every key that has a flag, and what concerns the configuration itself."""

    synopsis = "[options]"  # twistd puts its own before it
    longdesc = (
        "Every option is also a key of the configuration file (etc/netlab.toml lists them all) and "
        "an environment variable (NETLAB_CHAT_PORT=12345). Options override the environment, which "
        "overrides the file."
    )
    optParameters: ClassVar = [
        ["config", None, None, "configuration file (TOML)"],
        *[[k.flag, None, None, k.help_with_default()] for k in config.KEYS.values() if k.flag],
    ]
    optFlags: ClassVar = [
        ["check-config", None, "say what is wrong with the configuration; status 0 or 1"],
        ["print-config", None, "print the effective configuration, each value with its source"],
    ]

    def opt_version(self) -> NoReturn:
        """Show the version and exit."""
        print(f"netlab {__version__}")  # noqa: T201
        raise SystemExit(0)

    def parseArgs(self, *words: str) -> None:
        if words:
            raise usage.UsageError(f"{words[0]!r} is no option; all options begin with --")

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            # twistd would print every option before the one line that matters.
            _end([f"{error}; twistd netlab --help lists the options"])

    def postOptions(self) -> None:
        flags = {name: self[name] for name in _flags() if self[name] is not None}
        file = Path(self["config"]) if self["config"] else None
        try:
            self.configuration = config.load(file, os.environ, flags)
        except config.ConfigError as error:
            _end(error.mistakes)
        if self["print-config"]:
            print(self.configuration.as_toml(), end="")  # noqa: T201
            raise SystemExit(0)
        if self["check-config"]:
            from twisted.internet import reactor

            _end(list(service.check_endpoints(self.configuration, reactor)))


def _flags() -> list[str]:
    return [k.flag for k in config.KEYS.values() if k.flag]


def _end(mistakes: Sequence[str]) -> NoReturn:
    """End the process: one line per mistake on stderr, status 1; without mistakes status 0."""
    for mistake in mistakes:
        print(f"netlab: {mistake}", file=sys.stderr)  # noqa: T201
    raise SystemExit(1 if mistakes else 0)


class Root(MultiService):
    """The service that twistd starts; it brings its own log observer to the application."""

    def __init__(self, observer: Observer | None) -> None:
        super().__init__()
        self._observer = observer

    def setServiceParent(self, parent: Any) -> None:
        super().setServiceParent(parent)
        if self._observer is not None:
            parent.setComponent(ILogObserver, self._observer)


def makeService(options: Options) -> Root:
    """Build the lab with all its sockets open, or end with one line that says why not."""
    from twisted.internet import reactor

    try:
        lab = service.build(options.configuration, reactor)
    except service.StartError as error:
        _end([str(error)])
    root = Root(_observer(options))
    lab.setServiceParent(root)
    _let_a_second_signal_cut(lab, reactor)
    return root


def _observer(options: Options) -> Observer | None:
    """Our log, to where twistd's options say; None leaves it to twistd's --syslog."""
    twistd: Any = options.parent or {}
    if twistd.get("syslog"):
        return None
    name = twistd.get("logfile")
    if name == "-" or (twistd.get("nodaemon") and not name):
        stdout = sys.stdout.buffer

        def write(data: bytes) -> None:
            stdout.write(data)
            stdout.flush()
    else:
        write = LogFile.fromFullPath(name or "twistd.log").write
    return Observer(write, options.configuration.daemon.log_format)


def _let_a_second_signal_cut(lab: service.Lab, reactor: Any) -> None:
    """Whoever asks a second time wants no more patience; Twisted would log a traceback."""

    def cut(*_: object) -> None:
        reactor.callFromThread(lab.abort)

    def listen_for_it() -> None:
        signal.signal(signal.SIGINT, cut)
        signal.signal(signal.SIGTERM, cut)

    reactor.addSystemEventTrigger("before", "shutdown", listen_for_it)
