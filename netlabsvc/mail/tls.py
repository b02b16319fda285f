"""TLS as a client: whom to trust, and what went wrong, in words.

The one module of the room that knows OpenSSL. Verified TLS checks chain, dates and name; without
verification (`--tls-insecure`, and opportunistic TLS, RFC 7435) it keeps out those who only listen.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    VerificationError,
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
            if not re.fullmatch(r"[0-9.]+|.*:.*", self._host):
                connection.set_tlsext_host_name(self._host.encode("idna"))
            return connection
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        connection.set_verify(SSL.VERIFY_PEER, self._look)
        return connection

    def _look(self, connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        """Remember what OpenSSL found wrong, which its exception does not tell."""
        if not ok and not self._fault:
            whose = "the certificate" if depth == 0 else "a certificate of the chain"
            self._fault = f"{whose} {_FAULTS.get(error, f'does not verify ({error})')}"
        return bool(ok)

    def cause(self, reason: Failure) -> str:
        """Why the handshake failed, in one line."""
        if self._fault:
            return self._fault
        if "wrong version number" in str(reason.value) or "record layer" in str(reason.value):
            return "what the server said is no TLS; on ports 25 and 587 TLS begins with STARTTLS"
        if reason.check(VerificationError):
            return f"the certificate is not for {self._host}"
        if isinstance(reason.value, SSL.Error):
            parts = [words[-1] for words in reason.value.args[0:1] and reason.value.args[0]]
            return shown_line(", ".join(filter(None, parts))) or "the server ended the handshake"
        return "the server closed the connection in the handshake"


def agreed(transport: Any) -> tuple[str, str]:
    """Version and cipher of a connection whose handshake is done."""
    handle = transport.getHandle()
    return handle.get_protocol_version_name(), handle.get_cipher_name() or ""
