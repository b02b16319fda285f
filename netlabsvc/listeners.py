"""The listeners that a configuration names: opened, described for people, or why they cannot be.

It knows the keys and what Twisted says; whom a listener serves is the composition's affair.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import fsdecode
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.python.failure import Failure

from netlabsvc import toml
from netlabsvc.config import KEYS, Config
from netlabsvc.connections import host_port
from netlabsvc.udp.port import adopt
from netlabsvc.udp.port import listen as open_port
from netlabsvc.udp.reflector import Reflector

#: A class comes in at once when the bell rings: Twisted's 50 would let some wait a second.
BACKLOG = 1024
_EXAMPLES = "tcp:12000:interface=127.0.0.1 or ssl:12443:privateKey=key.pem:certKey=cert.pem"
_PORT = re.compile(r"(?:tcp6?|ssl):(?:.*:)?(?:port=)?(-?\d+)(?::|$)")
#: A colon that belongs to a value is written with a backslash before it.
_INTERFACE = re.compile(r"(?:tcp6?|ssl):(?:.*:)?interface=((?:\\.|[^:\\])+)")


class StartError(Exception):
    """Why the lab cannot start: one line that names the key, the value and the remedy."""


@dataclass(frozen=True)
class Listener:
    """A socket that listens."""

    port: IListeningPort
    tls: bool = False
    #: A service manager opened it, and keeps it.
    inherited: bool = False


def listen(
    config: Config,
    section: str,
    prefix: str,
    factory: Any,
    reactor: Any,
    inherited: Sequence[socket.socket] = (),
) -> list[Listener]:
    """Open what the keys ``{prefix}listen`` and ``{prefix}port`` of a section name.

    :param inherited: listen already, in place of host and port; endpoints are opened beside them,
        so that nobody who asked for TLS gets less. They are closed here.
    :raises StartError: when one cannot be opened; those before it are closed again.
    """
    opened: list[Listener] = []
    tls = prefix == "tls_"
    number = config.settings[f"{section}.{prefix}port"].value
    try:
        for text in config.settings[f"{section}.{prefix}listen"].value:
            opened.append(_on_endpoint(config, f"{section}.{prefix}listen", text, factory, reactor))
        for one in inherited:
            opened.append(_adopt(one, factory, reactor))
        if not opened and number is not None:
            port = reactor.listenTCP(number, factory, BACKLOG, config.daemon.host)
            opened.append(Listener(port, tls))
    except CannotListenError as error:
        raise port_error(f"{section}.{prefix}port", error) from None
    except StartError:
        for listener in opened:
            listener.port.stopListening()
        raise
    return opened


def listen_udp(
    config: Config,
    key: str,
    reflector: Reflector,
    reactor: Any,
    inherited: Sequence[socket.socket] = (),
) -> list[Listener]:
    """Open a reflector's socket, or let it have the one that is open already.

    :param key: of its port.
    :raises StartError: when it cannot be opened.
    """
    if inherited:
        return [Listener(adopt(reflector, reactor, one), inherited=True) for one in inherited]
    try:
        port = open_port(reflector, reactor, config.daemon.host, config.settings[key].value)
    except CannotListenError as error:
        raise port_error(key, error) from None
    return [Listener(port)]


def _adopt(one: socket.socket, factory: Any, reactor: Any) -> Listener:
    """Serve a socket that listens; the reactor has a descriptor of its own then.

    Twisted does not shut an adopted socket down at the end: for its other owners it goes on.
    """
    with one:
        port = reactor.adoptStreamPort(one.fileno(), one.family, factory)
    return Listener(port, inherited=True)


def _on_endpoint(config: Config, key: str, text: str, factory: Any, reactor: Any) -> Listener:
    """Listen on an endpoint string, now: an endpoint that cannot is an error of the start."""
    result: list[Any] = []
    _endpoint(config, key, text, reactor).listen(factory).addBoth(result.append)
    if not result:
        raise StartError(f"{_place(config, key, text)}: this endpoint does not listen at once")
    if isinstance(result[0], Failure):
        error = result[0].value
        if isinstance(error, CannotListenError):
            why = _refusal(error, f"another in {key}", key)
        else:
            why = _mistake(text, error)
        raise StartError(f"{_place(config, key, text)}: {why}")
    return Listener(result[0], text.startswith("ssl:"))


def check_endpoints(config: Config, reactor: Any) -> Iterable[str]:
    """The mistakes in the endpoint strings of a configuration; opens nothing."""
    for key, setting in config.settings.items():
        for text in setting.value if key.endswith("listen") else ():
            try:
                _endpoint(config, key, text, reactor)
            except StartError as error:
                yield str(error)


def _endpoint(config: Config, key: str, text: str, reactor: Any) -> IStreamServerEndpoint:
    if text.startswith("systemd:"):
        raise StartError(
            f"{_place(config, key, text)}: sockets of systemd are taken by their names; leave this "
            "out, and let FileDescriptorName= in the unit say chat, chat-raw, ..."
        )
    try:
        if (port := _PORT.match(text)) and not 0 <= int(port[1]) <= 65535:
            raise ValueError
        if interface := _INTERFACE.match(text):
            _look_up(re.sub(r"\\(.)", r"\1", interface[1]))
        endpoint: IStreamServerEndpoint = serverFromString(reactor, text)
    except Exception as error:  # plugins and OpenSSL raise whatever they like
        raise StartError(f"{_place(config, key, text)}: {_mistake(text, error)}") from None
    return endpoint


def _look_up(interface: str) -> None:
    """:raises OSError: when it is neither an address nor the name of one."""
    try:
        socket.getaddrinfo(interface, None)
    except OSError as error:
        raise OSError(error.errno, error.strerror, interface) from None


def _place(config: Config, key: str, text: str) -> str:
    return f"{config.settings[key].source}: {key} = {toml.literal(text)}"


def _mistake(text: str, error: BaseException | None) -> str:
    """What is wrong with an endpoint string: Twisted tells it in the words of its own code."""
    if isinstance(error, OSError):
        name = error.filename2 or error.filename
        return f"{fsdecode(name) if name else 'cannot listen'}: {error.strerror}"
    if text.startswith("ssl:") and type(error).__module__.startswith("OpenSSL"):
        return "privateKey and certKey must be PEM files of one key and its certificate"
    return f"not an endpoint that can listen; one is {_EXAMPLES}"


def port_error(key: str, error: CannotListenError) -> StartError:
    """Say in one line why a port cannot be had, and what to do.

    :param key: the key that asked for it.
    """
    flag = f"--{KEYS[key].flag}"
    return StartError(f"{name_of(key)}: {_refusal(error, f'another with {flag}', '--host')}")


def _refusal(error: CannotListenError, another: str, host: str) -> str:
    """Where the kernel does not let us listen, why, and the remedy."""
    reason = error.socketError
    number = reason.errno if isinstance(reason, OSError) else None
    words = reason.strerror if isinstance(reason, OSError) else str(reason)
    remedies = {
        errno.EADDRINUSE: f"stop what uses it, or choose {another}",
        errno.EACCES: f"ports below 1024 need privileges; choose {another}",
        errno.EADDRNOTAVAIL: f"no address of this machine; choose another in {host}",
    }
    if isinstance(error.port, int):
        where = host_port(str(error.interface or "0.0.0.0"), error.port)
    else:
        where = fsdecode(error.port)  # a Unix socket
    return f"cannot listen on {where}: {words}; {remedies.get(number or 0, f'choose {another}')}"


#: By the key of the port: the command that tries it, and the one that tries it through TLS.
_TRY = {
    "chat.port": ("nc {host} {port}", "netlab chat {where} --tls"),
    "chat.raw_port": (
        "nc {host} {port}   (each chunk is a message)",
        "openssl s_client -quiet -connect {where}   (each chunk is a message)",
    ),
    "chat.length_port": (
        "a program that sends 4 bytes of length before each message",
        "a program that speaks TLS and sends 4 bytes of length before each message",
    ),
    "udp.port": ("netlab ping {where}", ""),
    "udp.stamp.port": ("netlab ping --proto stamp {where}", ""),
    "udp.irtt.port": ("irtt client -i 10ms -d 1s {where}", ""),
    "web.port": ("curl http://{where}/", "curl https://{where}/"),
    "mail.sandbox.port": (
        "netlab mail --server {where} --from ada@lab --to bob@lab --body hello",
        "openssl s_client -quiet -connect {where}",
    ),
    "mail.sandbox.tls_port": (
        "openssl s_client -quiet -connect {where}",
        "openssl s_client -quiet -connect {where}",
    ),
}


#: A wildcard is no address to connect to; its loopback is.
_NEAR = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def name_of(key: str) -> str:
    """What the listener of a port's key is called: the service, or the one of several in it."""
    section = key.rpartition(".")[0]
    service, _, name = section.partition(".")
    return name if service == "udp" and name else service


def start_lines(listeners: Mapping[str, list[Listener]]) -> Iterable[str]:
    """For people: what listens where, and the command that tries it.

    :param listeners: by the key of the port; a service that does not run has no key here.
    """
    for key, opened in listeners.items():
        name = name_of(key)
        if not opened and KEYS[key].default is not None:
            yield f"{name} is off: {key} is off"
        for listener in opened:
            address = listener.port.getHost()
            if isinstance(address, IPv4Address | IPv6Address):
                yield f"{name} listens on {_how_to_try(key, address, listener)}"
            else:
                yield f"{name} listens on {address}"
    yield from _who_can_connect([one for opened in listeners.values() for one in opened])


def _who_can_connect(listeners: Sequence[Listener]) -> Iterable[str]:
    """A line for a lab that nobody can reach, or this machine only."""
    if not listeners:
        yield "nothing listens: every port is off"
    addresses = [one.port.getHost() for one in listeners]
    hosts = [a.host for a in addresses if isinstance(a, IPv4Address | IPv6Address)]
    if hosts and all(ipaddress.ip_address(host).is_loopback for host in hosts):
        remedies = {
            False: "--host 0.0.0.0 (or ::) opens the lab to the network",
            True: "the addresses in its socket units open the lab to the network",
        }
        for inherited in sorted({one.inherited for one in listeners}):
            yield f"only this machine can connect; {remedies[inherited]}"


def summary(listeners: Mapping[str, list[Listener]]) -> str:
    """What listens where, in one line: ``chat 0.0.0.0:12000/tcp, udp 0.0.0.0:12000/udp``."""
    where = [
        f"{name_of(key)} {_name(listener.port.getHost())}"
        for key, opened in listeners.items()
        for listener in opened
    ]
    return ", ".join(where) or "nothing listens"


def _name(address: Any) -> str:
    if isinstance(address, IPv4Address | IPv6Address):
        return f"{host_port(address.host, address.port)}/{address.type.lower()}"
    return str(address)


def first_address(listeners: Mapping[str, list[Listener]], key: str) -> str:
    """Where this machine reaches what a port's key opened: ``127.0.0.1:2525``; "" when nowhere."""
    for listener in listeners.get(key, ()):
        address = listener.port.getHost()
        if isinstance(address, IPv4Address | IPv6Address):
            return host_port(_NEAR.get(address.host, address.host), address.port)
    return ""


def described(listeners: Mapping[str, list[Listener]]) -> Iterable[dict[str, Any]]:
    """For machines: every listener, and the services that have none."""
    for key, opened in listeners.items():
        service = name_of(key)
        if not opened:
            yield {"service": service, "key": key, "listening": False}
        for listener in opened:
            address = listener.port.getHost()
            where: dict[str, Any] = {"address": str(address)}
            if isinstance(address, IPv4Address | IPv6Address):
                where = {
                    "address": host_port(address.host, address.port),
                    "host": address.host,
                    "port": address.port,
                    "protocol": address.type.lower(),
                }
            how = {"tls": listener.tls, "inherited": listener.inherited}
            yield {"service": service, "key": key, "listening": True, **where, **how}


def _how_to_try(key: str, address: IPv4Address | IPv6Address, listener: Listener) -> str:
    """Where something listens, and the command that tries it."""
    near = _NEAR.get(address.host, address.host)
    where = host_port(near, address.port)
    example = _TRY[key][listener.tls].format(host=near, port=address.port, where=where)
    origin = ", a socket of systemd" if listener.inherited else ""
    return f"{_name(address)}{origin}   try: {example}"
