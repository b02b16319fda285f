"""The certificate that the sandbox shows: from files, or made at the first start and kept.

    <state directory>/mail-certificate.pem     self-signed, for ten years
    <state directory>/mail-key.pem             of its owner only (0600)

The one module that knows the package cryptography. Clients cannot check who made it, but they can
be told its fingerprint.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.internet import ssl

CERTIFICATE, KEY = "mail-certificate.pem", "mail-key.pem"
_VALID = timedelta(days=3650)
#: What a clock that is wrong may think of a certificate that was made just now.
_BEFORE = timedelta(days=1)
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class CertificateError(Exception):
    """Why there is no certificate; the text names the file and the remedy."""


class Certificate:
    """A certificate with its key.

    :ivar path: its file.
    :ivar context: what Twisted needs to speak TLS as a server.
    :ivar fingerprint: SHA-256, as ``openssl x509 -fingerprint -sha256`` shows it.
    """

    def __init__(self, path: Path, key_path: Path) -> None:
        """:raises CertificateError: when a file cannot be read, or they do not belong together."""
        self.path = path
        chain = _PEM.findall(_read(path))
        try:
            pair = ssl.PrivateCertificate.loadPEM(chain[0] + b"\n" + _read(key_path))
            rest = [ssl.Certificate.loadPEM(one).original for one in chain[1:]]
            self.context: Any = pair.options()
            self.context.extraCertChain = rest
            self.context.getContext().check_privatekey()
        except Exception as error:  # OpenSSL has no list of what it raises
            if isinstance(error, CertificateError):
                raise
            text = f"{path} and {key_path} must be PEM files of a certificate and its key"
            raise CertificateError(text) from None
        self.fingerprint = pair.digest("sha256").decode("ascii")


def kept_in(directory: Path, hostname: str, now: datetime) -> Certificate:
    """The certificate of a state directory, made when it is missing or over.

    :raises CertificateError: when it cannot be written or read.
    """
    path, key_path = directory / CERTIFICATE, directory / KEY
    if not (path.exists() and key_path.exists()) or _is_over(path, now):
        try:
            _make(path, key_path, hostname, now)
        except OSError as error:
            raise CertificateError(f"cannot write {path}: {error.strerror}") from None
    return Certificate(path, key_path)


def _is_over(path: Path, now: datetime) -> bool:
    try:
        end = x509.load_pem_x509_certificate(_read(path)).not_valid_after_utc
    except ValueError:
        return False  # damaged: to say so is better than to overwrite what somebody put there
    return end < now


def _make(path: Path, key_path: Path, hostname: str, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    names = [x509.DNSName(one) for one in dict.fromkeys((hostname, "localhost"))]
    addresses = [x509.IPAddress(ip_address(one)) for one in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BEFORE)
        .not_valid_after(now.astimezone(UTC) + _VALID)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(key_path, pem)
    _write(path, certificate.public_bytes(Encoding.PEM))


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one step; nobody but its owner can read it at any moment."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    beside.rename(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"cannot read {path}: {error.strerror}") from None
