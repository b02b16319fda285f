"""What twistd asks for: the options of ``twistd netlab`` and the service they describe."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from twisted.application.service import MultiService
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.logfile import LogFile

from netlabsvc import __version__, activation, config, listeners, service
from netlabsvc.lab import Lab
from netlabsvc.logs import NOT_OURS, Observer


class Options(usage.Options):
    """One option for every key that has a flag, and what concerns the configuration itself."""

    synopsis = "[options]"  # twistd puts its own before it
    longdesc = (
        "Every option is also a key of the configuration file (etc/netlab.toml lists them all) and "
        "an environment variable (NETLAB_CHAT_PORT=12345). Options override the environment, which "
        "overrides the file."
    )
    optParameters: ClassVar[list[Any]] = [
        ["config", None, None, "configuration file (TOML)"],
        *[[k.flag, None, None, k.help_with_default()] for k in config.KEYS.values() if k.flag],
    ]
    optFlags: ClassVar[list[Any]] = [
        ["check-config", None, "say what is wrong with the configuration; status 0 or 1"],
        ["print-config", None, "print the effective configuration, each value with its source"],
    ]

    def opt_version(self) -> NoReturn:
        """Show the version and exit."""
        _print(f"netlab {__version__}\n")

    def opt_help(self) -> NoReturn:
        """Show this and exit."""
        _print(f"{self}\n")

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
        self.source = config.Source(file, dict(os.environ), flags, Path.cwd())
        try:
            self.configuration = self.source.load()
        except config.ConfigError as error:
            _end(error.mistakes)
        if self["print-config"]:
            _print(self.configuration.as_toml())
        if self["check-config"]:
            from twisted.internet import reactor

            _end(list(listeners.check_endpoints(self.configuration, reactor)))


def _flags() -> list[str]:
    return [k.flag for k in config.KEYS.values() if k.flag]


def _end(mistakes: Sequence[str]) -> NoReturn:
    """End the process: one line per mistake on stderr, status 1; without mistakes status 0."""
    for mistake in mistakes:
        print(f"netlab: {mistake}", file=sys.stderr)  # noqa: T201
    raise SystemExit(1 if mistakes else 0)


def _print(text: str) -> NoReturn:
    """End the process: a text on stdout and status 0, or a line that says why that cannot be."""
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # else Python tries once more when it exits, and complains
        _end([f"cannot write to stdout: {error.strerror}"])
    raise SystemExit(0)


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

    environ = activation.environment_at_start()
    try:
        lab = service.build(options.configuration, reactor, environ)
    except listeners.StartError as error:
        _end([str(error)])
    lab.live.source = options.source
    lab.observer = _observer(options)
    root = Root(lab.observer)
    lab.setServiceParent(root)
    _let_a_second_signal_cut(lab, reactor)
    _reload_on_hangup(lab, reactor, in_foreground=bool(_twistd(options).get("nodaemon")))
    return root


def _twistd(options: Options) -> Any:
    """The options before ``netlab`` on the command line."""
    return options.parent or {}


def _observer(options: Options) -> Observer | None:
    """Our log, to where twistd's options say; None leaves it to twistd's --syslog."""
    twistd = _twistd(options)
    daemon = options.configuration.daemon
    if twistd.get("syslog"):
        for path in ("log_level", "log_format"):
            setting = options.configuration.settings[path]
            if setting.value != config.KEYS[path].default:
                _end([f"{setting.source}: {path} = {setting.value}: {NOT_OURS}"])
        return None
    name = twistd.get("logfile")
    if name == "-" or (twistd.get("nodaemon") and not name):
        write = _to_stdout(bool(twistd.get("nodaemon")))
    else:
        write = _to_file(name or "twistd.log")
    return Observer(write, daemon.log_format, daemon.log_level)


def _to_stdout(foreground: bool) -> Callable[[bytes], object]:
    if sys.stdout is None or not foreground:
        why = "stdout is closed" if foreground else "a daemon has no stdout"
        _end([f"cannot write the log: {why}; twistd --logfile FILE netlab names a file"])
    stdout = sys.stdout.buffer

    def write(data: bytes) -> None:
        stdout.write(data)
        stdout.flush()

    return write


def _to_file(name: str) -> Callable[[bytes], object]:
    """A log that SIGUSR1 rotates: twistd listens for that only where the log is its own."""
    from twisted.internet import reactor

    clock: Any = reactor
    try:
        file = LogFile.fromFullPath(name)
    except OSError as error:
        _end([f"cannot write the log {name}: {error.strerror}; twistd --logfile names another"])
    signal.signal(signal.SIGUSR1, lambda *_: clock.callFromThread(file.rotate))
    write: Callable[[bytes], object] = file.write
    return write


def _let_a_second_signal_cut(lab: Lab, reactor: Any) -> None:
    """Whoever asks a second time wants no more patience; Twisted would log a traceback."""

    def cut(*_: object) -> None:
        reactor.callFromThread(lab.abort)

    def listen_for_it() -> None:
        signal.signal(signal.SIGINT, cut)
        signal.signal(signal.SIGTERM, cut)

    reactor.addSystemEventTrigger("before", "shutdown", listen_for_it)


#: SIGHUPs that come within so many seconds of the first lead to one reload.
HANGUP_S = 0.1


def _reload_on_hangup(lab: Lab, reactor: Any, in_foreground: bool) -> None:
    """SIGHUP reads the configuration again; the hangup of the lab's own terminal still ends it.

    A signal that comes before the reactor turns waits for it; once the end has begun, none counts.
    """
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # nohup: let it outlive a terminal
    attached = in_foreground and not ignored and _has_terminal()
    pending = False

    def hangup(*_: object) -> None:
        nonlocal pending
        if not pending:
            pending = True
            reactor.callFromThread(reactor.callLater, HANGUP_S, obey)

    def obey() -> None:
        nonlocal pending
        pending = False  # first: what is written from now on needs another reload
        if attached and not _has_terminal():
            reactor.stop()
            return
        with suppress(config.ConfigError):  # the log has it
            lab.reload()

    signal.signal(signal.SIGHUP, hangup)
    reactor.addSystemEventTrigger(
        "before", "shutdown", signal.signal, signal.SIGHUP, signal.SIG_IGN
    )


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
