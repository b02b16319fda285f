"""Whom `netlab get` trusts: TLS for one connection, and what the handshake said."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from OpenSSL.crypto import Error as CertificateError
from OpenSSL.SSL import Connection
from OpenSSL.SSL import Error as TLSError
from service_identity import VerificationError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from zope.interface import implementer

from netlabsvc.web.failure import Failed, Status

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


@dataclass(frozen=True)
class Trust:
    """Which servers are believed to be whom they say they are.

    :ivar authorities: certificates in PEM that count instead of the system's; None for those.
    :ivar anyone: no certificate is asked about.
    """

    authorities: str | None = None
    anyone: bool = False

    def creator(self, host: str) -> Any:
        """What makes the TLS connection to a host.

        :raises Failed: the certificates are none.
        """
        if self.anyone:
            return _Anyone(host)
        if self.authorities is None:
            return optionsForClientTLS(host)
        return optionsForClientTLS(host, trustRoot=_roots(self.authorities))

    def words(self, host: str) -> str:
        """How a handshake that succeeded is to be understood."""
        if self.anyone:
            return f"the certificate was NOT checked (-k): anyone could be {host}"
        source = "the system's certificates" if self.authorities is None else "--cacert"
        return f"the certificate is good for {host}, by {source}"


def _roots(text: str) -> Any:
    blocks = [part.partition(_END)[0] for part in text.split(_BEGIN)[1:]]
    try:
        found = [Certificate.loadPEM(f"{_BEGIN}{block}{_END}\n".encode()) for block in blocks]
    except (CertificateError, ValueError):
        found = []
    if not found:
        why = "the file of --cacert holds no certificate; it should hold '-----BEGIN CERTIFICATE'"
        raise Failed(Status.SSL_CACERT_BADFILE, why)
    return trustRootFromCertificates(found)


@implementer(IOpenSSLClientConnectionCreator)
class _Anyone:
    """Connections whose peer may be anyone."""

    def __init__(self, host: str) -> None:
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Connection:
        connection = Connection(CertificateOptions(verify=False).getContext(), None)
        try:
            ip_address(self._host)
        except ValueError:
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        return connection


def facts(transport: Any) -> list[str]:
    """What was agreed on, and who the other end says it is."""
    connection = transport.getHandle()
    lines = [f"{connection.get_protocol_version_name()}, {connection.get_cipher_name()}"]
    certificate = connection.get_peer_certificate()
    if certificate is not None:
        x509 = certificate.to_cryptography()
        lines.append(f"certificate of {x509.subject.rfc4514_string() or 'nobody by name'}")
        lines.append(f"  issued by {x509.issuer.rfc4514_string() or 'nobody by name'}")
        lines.append(f"  good until {x509.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    return lines


def failure(where: str, error: BaseException | None, *, agreed: bool) -> Failed | None:
    """What TLS says of a connection that ended; None if the end is none of its business.

    :param agreed: after the handshake.
    """
    if isinstance(error, VerificationError):
        why = f"TLS with {where}: the certificate is for another name; -k does not ask"
        return Failed(Status.PEER_FAILED_VERIFICATION, why)
    if not isinstance(error, TLSError):
        return None
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    why = "; ".join(str(entry[-1]) for entry in entries if entry[-1]) or "the connection ended"
    if "certificate verify failed" in why:
        why = f"TLS with {where}: {why}; --cacert FILE trusts its signer, -k does not ask"
        return Failed(Status.PEER_FAILED_VERIFICATION, why)
    if agreed:
        return Failed(Status.RECV_ERROR, f"TLS with {where}: {why}")
    hint = "; does it speak plain http?" if "wrong version" in why or "packet" in why else ""
    return Failed(Status.SSL_CONNECT_ERROR, f"TLS with {where}: {why}{hint}")
