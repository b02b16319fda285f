"""The certificate of the sandbox, with openssl as the one who checks."""

from __future__ import annotations

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from netlabsvc.mail.certificate import CERTIFICATE, KEY, Certificate, CertificateError, kept_in
from support.certificates import Authority
from support.outside import need

NOW = datetime.now(UTC)


def openssl(*words: str) -> str:
    """What openssl says of a certificate."""
    command = [need("openssl"), "x509", "-noout", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    """A restart shows the same; openssl reads the same fingerprint and names."""
    first = kept_in(tmp_path, "lab.example", NOW)
    made = (tmp_path / CERTIFICATE).read_bytes(), (tmp_path / KEY).read_bytes()
    again = kept_in(tmp_path, "other.example", NOW + timedelta(days=3000))
    assert again.fingerprint == first.fingerprint
    assert ((tmp_path / CERTIFICATE).read_bytes(), (tmp_path / KEY).read_bytes()) == made
    told = openssl(
        *("-in", str(first.path), "-fingerprint", "-sha256", "-ext", "subjectAltName"),
    )
    assert first.fingerprint in told
    for name in ("DNS:lab.example", "DNS:localhost", "IP Address:127.0.0.1"):
        assert name in told


def test_only_its_owner_reads_the_key(tmp_path: Path) -> None:
    """0600, whatever stood there before, and nothing is left beside it."""
    (tmp_path / f"{KEY}.new").write_text("left by a crash")
    (tmp_path / f"{KEY}.new").chmod(0o666)
    kept_in(tmp_path, "lab.example", NOW)
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [CERTIFICATE, KEY]


@pytest.mark.parametrize("lost", [CERTIFICATE, KEY, None])
def test_one_that_is_over_or_half_lost_is_replaced(lost: str | None, tmp_path: Path) -> None:
    """After ten years, or without its key, there is another one."""
    first = kept_in(tmp_path, "lab.example", NOW)
    if lost:
        (tmp_path / lost).unlink()
    later = kept_in(tmp_path, "lab.example", NOW + timedelta(days=1 if lost else 3651))
    assert later.fingerprint != first.fingerprint


def test_a_damaged_one_is_told_and_not_overwritten(tmp_path: Path) -> None:
    """Somebody put it there: the error names both files."""
    kept_in(tmp_path, "lab.example", NOW)
    (tmp_path / CERTIFICATE).write_text("mine")
    with pytest.raises(CertificateError, match=rf"{CERTIFICATE} and .*{KEY} must be PEM"):
        kept_in(tmp_path, "lab.example", NOW)
    assert (tmp_path / CERTIFICATE).read_text() == "mine"


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    """The key of another, and a file that is not there: both are told by name."""
    authority = Authority(tmp_path)
    _, certificate = authority.sign("localhost")
    (tmp_path / "state").mkdir()
    kept_in(tmp_path / "state", "lab.example", NOW)
    with pytest.raises(CertificateError, match="must be PEM files of a certificate and its key"):
        Certificate(certificate, tmp_path / "state" / KEY)
    with pytest.raises(CertificateError, match=r"cannot read .*none\.pem: No such file"):
        Certificate(certificate, tmp_path / "none.pem")
    with pytest.raises(CertificateError, match=r"cannot write .*: No such file"):
        kept_in(tmp_path / "missing", "lab.example", NOW)
