"""Certificates that nobody signed, for tests of TLS."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.outside import need


def self_signed(directory: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Make a key and a certificate for a host name; returns their files."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = [need("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out"]
    subprocess.run([*command, str(certificate)], check=True, capture_output=True)
    return key, certificate
