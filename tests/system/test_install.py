"""What make install puts in place: units that systemd accepts, a configuration, a manual."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from netlabsvc import config
from netlabsvc.activation import NAMES
from netlabsvc.cli.main import COMMANDS
from support.daemon import TWISTD
from support.outside import need

SOURCE = Path(__file__).parents[2]
UNITS = tuple(f"netlab-{name}.socket" for name in ("chat", "irtt", "smtp", "stamp", "udp", "web"))
#: The port of a unit that is another than the key's default.
OWN_PORT = {"netlab-stamp.socket": 862}


def make(target: str, *variables: str) -> None:
    """Run a target of the Makefile that takes nothing from the network."""
    command = [need("make"), "-s", "-C", str(SOURCE), target, f"MAN_PYTHON={sys.executable}"]
    done = subprocess.run([*command, *variables], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr


def below(root: Path) -> set[str]:
    """The files below a directory."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The directory of the installed units; the program that they name is there."""
    prefix = tmp_path / "prefix"
    make("install-files", f"PREFIX={prefix}", f"SYSCONFDIR={tmp_path / 'etc'}")
    program = prefix / "lib/netlab/bin/twistd"
    program.parent.mkdir(parents=True)
    program.symlink_to(TWISTD)
    return prefix / "lib/systemd/system"


def systemd_analyze(*arguments: str | Path) -> str:
    """What systemd-analyze says; it must be content."""
    command = [need("systemd-analyze"), *map(str, arguments)]
    environ = {**os.environ, "SYSTEMD_COLORS": "0"}
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def complaints(files: list[Path]) -> list[str]:
    """What verify says of these units; it reads the machine's own, too."""
    said = systemd_analyze("verify", "--man=no", *files).splitlines()
    return [line for line in said if "netlab" in line]


def test_systemd_accepts_the_units(units: Path) -> None:
    """systemd-analyze verify has no word to say of any of them, nor of the example."""
    files = [units / name for name in ("netlab.service", *UNITS)]
    assert complaints(files) == []
    example = units / "netlab.service.d"
    example.mkdir()
    text = (SOURCE / "etc/systemd/examples/low-ports.conf").read_text()
    (example / "low-ports.conf").write_text(text)
    assert complaints([units / "netlab.service"]) == []


def test_the_unit_leaves_the_service_little(units: Path) -> None:
    """systemd-analyze security rates its exposure at 2.0 at most."""
    unit = units / "netlab.service"
    said = systemd_analyze("security", "--offline=true", "--threshold=20", "--no-pager", unit)
    assert "Overall exposure level for netlab.service" in said
    assert "MemoryDenyWriteExecute=yes" not in unit.read_text(), "it breaks TLS"


def test_each_socket_unit_names_what_the_daemon_knows(units: Path) -> None:
    """By FileDescriptorName=; on this machine only, until its owner says otherwise."""
    for name in UNITS:
        directives = dict(
            line.split("=", 1)
            for line in (units / name).read_text().splitlines()
            if "=" in line and not line.startswith("#")
        )
        assert directives["FileDescriptorName"] in NAMES
        assert directives["Service"] == "netlab.service"
        _, key = NAMES[directives["FileDescriptorName"]]
        stream = "ListenDatagram" if key.startswith("udp") else "ListenStream"
        port = OWN_PORT.get(name, config.KEYS[key].default)
        assert directives[stream] == f"127.0.0.1:{port}"


def test_files_go_where_debian_looks(tmp_path: Path) -> None:
    """Below DESTDIR, with PREFIX's paths inside; uninstall takes all of it away."""
    make("install-files", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert below(tmp_path) == {
        "etc/netlab.toml",
        "usr/lib/systemd/system/netlab.service",
        *(f"usr/lib/systemd/system/{name}" for name in UNITS),
        "usr/share/doc/netlab/low-ports.conf",
        "usr/share/doc/netlab/operations.md",
        "usr/share/man/man1/netlab.1",
        "usr/share/man/man8/netlabd.8",
    }
    unit = (tmp_path / "usr/lib/systemd/system/netlab.service").read_text()
    assert "ExecStart=/usr/lib/netlab/bin/twistd -n --pidfile= netlab --config /etc/n" in unit
    assert not any(path.stat().st_mode & 0o133 for path in tmp_path.rglob("*") if path.is_file())
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert below(tmp_path) == set()


def test_a_configuration_of_ones_own_stays(tmp_path: Path) -> None:
    """The new one is laid beside it; uninstall leaves what was changed."""
    make("install-files", f"DESTDIR={tmp_path}")
    mine = tmp_path / "etc/netlab.toml"
    mine.write_text('host = "::"\n')
    make("install-files", f"DESTDIR={tmp_path}")
    assert mine.read_text() == 'host = "::"\n'
    new = tmp_path / "etc/netlab.toml.new"
    assert new.read_text() == (SOURCE / "etc/netlab.toml").read_text()
    make("uninstall", f"DESTDIR={tmp_path}")
    assert below(tmp_path) == {"etc/netlab.toml"}


@pytest.mark.parametrize("page", ["man1/netlab.1", "man8/netlabd.8"])
def test_the_manual_pages_are_sound(tmp_path: Path, page: str) -> None:
    """groff has no warning, and every command, option and key is there."""
    make("install-files", f"DESTDIR={tmp_path}")
    command = [need("groff"), "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=200n"]
    file = tmp_path / "usr/local/share/man" / page
    done = subprocess.run([*command, file], capture_output=True, check=True, encoding="utf-8")
    assert done.stderr == ""
    if page.startswith("man1"):
        words = [f"netlab {name}" for name in COMMANDS] + ["netlab inbox show", "--cacert"]
    else:
        keys = config.KEYS.values()
        words = [k.path for k in keys] + [k.variable for k in keys] + ["--check-config"]
        words += [f"--{k.flag}" for k in keys if k.flag]
    assert [word for word in words if word not in done.stdout] == []
    assert not re.search(r"\\[&(\[-]", done.stdout), "an escape of roff is shown"
