"""TLS as a client: whom to trust, and what went wrong, in words.

The one module of the room that knows OpenSSL and service_identity. Verified TLS checks chain, dates
and name; without verification (`--tls-insecure`, and opportunistic TLS, RFC 7435) it keeps out
those who only listen.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.mail.text import shown_line

_PEM = re.compile(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
#: X509_V_ERR_* of OpenSSL.
_FAULTS = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "comes from a self-signed authority that is not trusted",
    20: "was signed by nobody who is trusted",
    21: "was signed by nobody who is trusted",
    23: "was revoked",
    24: "comes from an authority that is none",
    26: "is not for servers",
}


def is_address(host: str) -> bool:
    """Whether a host is named by its address."""
    return isIPAddress(host) or isIPv6Address(host)


class TrustError(Exception):
    """The file of authorities cannot be used; the text says why."""


def authorities(path: Path) -> list[Certificate]:
    """The certificates of a PEM file.

    :raises TrustError: when it cannot be read, or holds none.
    """
    try:
        found = [Certificate.loadPEM(pem) for pem in _PEM.findall(path.read_bytes())]
    except OSError as error:
        raise TrustError(f"{path}: {error.strerror}") from None
    except SSL.Error:
        raise TrustError(f"{path}: a certificate in it cannot be read") from None
    if not found:
        raise TrustError(f"{path}: no certificate in it (PEM: -----BEGIN CERTIFICATE-----)")
    return found


@implementer(IOpenSSLClientConnectionCreator)
class Trust:
    """Makes the TLS connections to one host."""

    def __init__(
        self, host: str, *, ca: list[Certificate] | None = None, verify: bool = True
    ) -> None:
        """:param ca: trust these instead of what the system trusts."""
        self._host = host
        self._fault = ""
        self._options: Any = None
        if verify:
            root = None if ca is None else trustRootFromCertificates(ca)
            self._options = optionsForClientTLS(host, trustRoot=root)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        self._fault = ""
        if self._options is None:
            connection: SSL.Connection = SSL.Connection(
                CertificateOptions(verify=False).getContext(), None
            )
            if not is_address(self._host):
                connection.set_tlsext_host_name(self._host.encode("idna"))
            return connection
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        # Instead of Twisted's: one connection has one such function, and this one can tell why.
        required = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        connection.set_verify(required, self._look)
        return connection

    def _look(self, connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        """Judge one certificate of the chain; what raises here would be lost."""
        fault = ""
        if not ok:
            whose = "the certificate" if depth == 0 else "a certificate of the chain"
            fault = f"{whose} {_FAULTS.get(error, f'does not verify ({error})')}"
        elif depth == 0 and not self._names_host(certificate):
            fault = f"the certificate is not for {self._host}"
        self._fault = self._fault or fault
        return not fault

    def _names_host(self, certificate: Any) -> bool:
        """Whether a certificate is for the host (RFC 6125); one that cannot be read is for none."""
        host = self._host.rstrip(".")
        try:
            wanted = IPAddress_ID(host) if is_address(host) else DNS_ID(host)
            verify_service_identity(extract_patterns(certificate), [wanted], [])
        except Exception:
            return False
        return True

    def cause(self, reason: Failure) -> str:
        """Why the handshake failed, in one line."""
        if self._fault:
            return self._fault
        if "wrong version number" in str(reason.value) or "record layer" in str(reason.value):
            return "what the server said is no TLS; on ports 25 and 587 TLS begins with STARTTLS"
        if isinstance(reason.value, SSL.Error):
            parts = [words[-1] for words in reason.value.args[0:1] and reason.value.args[0]]
            return shown_line(", ".join(filter(None, parts))) or "the server ended the handshake"
        return "the server closed the connection in the handshake"


def agreed(transport: Any) -> tuple[str, str]:
    """Version and cipher of a connection whose handshake is done."""
    handle = transport.getHandle()
    return handle.get_protocol_version_name(), handle.get_cipher_name() or ""
