"""Certificates for tests of TLS: that nobody signed, that an authority of ours signed, expired."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.outside import need


def self_signed(directory: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Make a key and a certificate for a host name; returns their files."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = [need("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out"]
    subprocess.run([*command, str(certificate)], check=True, capture_output=True)
    return key, certificate


class Authority:
    """Signs certificates; `file` holds its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        basic = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder(self._name, self._key.public_key(), 1)
        signed = builder.add_extension(basic, critical=True).sign(self._key, hashes.SHA256())
        self.file = directory / "authority.pem"
        self.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> _Builder:
        end = datetime.now(UTC) + timedelta(days=days)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name)
        builder = builder.public_key(key).serial_number(x509.random_serial_number())
        return builder.not_valid_before(end - timedelta(days=3)).not_valid_after(end)

    def sign(self, name: str, *, days: int = 1) -> tuple[Path, Path]:
        """Key and certificate for a host name; with -1 days it expired yesterday."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = self._builder(subject, key.public_key(), days).add_extension(names, False)
        signed = builder.sign(self._key, hashes.SHA256())
        files = self._directory / f"{name}{days}.key", self._directory / f"{name}{days}.pem"
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        files[0].write_bytes(key.private_bytes(encoding, form, plain))
        files[1].write_bytes(signed.public_bytes(encoding))
        return files


_Builder = x509.CertificateBuilder
