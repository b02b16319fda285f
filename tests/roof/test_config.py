"""netlabsvc.config: what overrides what, and what is said about mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from netlabsvc import config, toml

MANUAL = Path(__file__).parents[2] / "etc" / "netlab.toml"


def mistakes(
    tmp_path: Path,
    text: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> list[str]:
    """What is wrong with a file, an environment and flags; the file is called FILE."""
    file = tmp_path / "netlab.toml"
    file.write_text(text)
    with pytest.raises(config.ConfigError) as caught:
        config.load(file, environ or {}, flags or {})
    return [m.replace(str(file), "FILE") for m in caught.value.mistakes]


def test_flags_override_environment_overrides_file_overrides_defaults(tmp_path: Path) -> None:
    """Each layer wins over the one below, and the source of each value is known."""
    file = tmp_path / "netlab.toml"
    file.write_text("[chat]\nport = 1\nmax_line = 100\nburst = 5\n")
    environ = {"NETLAB_CHAT_PORT": "2", "NETLAB_CHAT_MAX_LINE": "200"}
    loaded = config.load(file, environ, {"chat-port": "3"})
    assert (loaded.chat.port, loaded.chat.max_line, loaded.chat.burst) == (3, 200, 5)
    assert loaded.settings["chat.port"].source == "--chat-port"
    assert loaded.settings["chat.max_line"].source == "$NETLAB_CHAT_MAX_LINE"
    assert loaded.settings["chat.burst"].source == f"{file}:4"
    assert loaded.settings["web.port"].source == "default"


def test_the_printed_configuration_gives_itself(tmp_path: Path) -> None:
    """--print-config writes a file that loads to the same values."""
    loaded = config.load(None, {"HOME": "/h"}, {"udp-loss": "30%", "seed": "7", "chat-port": "off"})
    file = tmp_path / "printed.toml"
    file.write_text(loaded.as_toml())
    again = config.load(file, {}, {})
    assert {k: s.value for k, s in again.settings.items()} == {
        k: s.value for k, s in loaded.settings.items()
    }


def test_the_manual_lists_every_key_at_its_default() -> None:
    """etc/netlab.toml names every key there is, with a comment, at its default."""
    environ = {"XDG_STATE_HOME": "/state"}
    written = config.load(MANUAL, environ, {})
    defaults = config.load(None, environ, {})
    assert {k: s.value for k, s in written.settings.items()} == {
        k: s.value for k, s in defaults.settings.items()
    }
    text = MANUAL.read_text("utf-8")
    absent = [k for k, s in written.settings.items() if "netlab.toml" not in s.source]
    # An empty state_dir stands for the default that the environment gives.
    assert absent == ["state_dir"]
    assert "\nstate_dir = " in text
    for line, before in zip(text.splitlines()[1:], text.splitlines(), strict=False):
        if "=" in line and not line.startswith("#"):
            assert before.startswith("#"), f"no comment above {line!r}"


def test_the_manual_marks_what_a_reload_can_change() -> None:
    """(reload) stands at the end of the comment of each such key, and at no other."""
    text = MANUAL.read_text("utf-8")
    lines = text.splitlines()
    above = {".".join(path): lines[n - 2] for path, n in toml.key_lines(text).items()}
    marked = {path for path in config.KEYS if above[path].endswith("(reload)")}
    assert marked == {path for path, k in config.KEYS.items() if k.live}


def test_a_source_is_read_again_where_the_daemon_began(tmp_path: Path) -> None:
    """Relative paths start there; flags and environment go on to override the file."""
    (tmp_path / "lab.toml").write_text('[chat]\nrate = 5\nburst = 5\n[web]\nroot = "www"\n')
    (tmp_path / "www").mkdir()
    environ, flags = {"NETLAB_CHAT_BURST": "7"}, {"chat-mode": "echo"}
    loaded = config.Source(Path("lab.toml"), environ, flags, tmp_path).load_again()
    assert (loaded.chat.rate, loaded.chat.burst, loaded.chat.mode) == (5.0, 7, "echo")
    assert loaded.settings["chat.rate"].source == f"{tmp_path / 'lab.toml'}:2"


def test_what_cannot_be_read_again_is_told(tmp_path: Path) -> None:
    """A daemon without a file, one whose file is no file on a disk, one whose file has gone."""
    for file, words in (
        (None, "no file to read again; --config names one"),
        (Path("/dev/null"), "no regular file"),
        (Path("gone.toml"), "No such file"),
    ):
        with pytest.raises(config.ConfigError, match=words):
            config.Source(file, {}, {}, tmp_path).load_again()


def test_every_key_has_its_own_variable_and_flag() -> None:
    """No two keys share an environment variable or a flag."""
    keys = list(config.KEYS.values())
    assert len({k.variable for k in keys}) == len(keys)
    flags = [k.flag for k in keys if k.flag]
    assert len(set(flags)) == len(flags)


def test_all_mistakes_of_a_file_are_told_together(tmp_path: Path) -> None:
    """Unknown keys come with line and nearest key, bad values with what is accepted."""
    found = mistakes(
        tmp_path,
        'servces = ["chat"]\n[chat]\nport = 70000\nprt = 1\nmax_line = true\n'
        '[udp]\nloss = "130%"\n[mail.sandbox]\nidle_s = "soon"\n[nowhere]\nx = 1\n',
    )
    assert found == [
        "FILE:1: unknown key servces; the nearest known one is services",
        "FILE:4: unknown key chat.prt; the nearest known one is chat.port",
        "FILE:10: unknown table nowhere; the known ones are chat, udp, "
        "udp.stamp, udp.irtt, web, mail.sandbox, mail.queue",
        'FILE:3: chat.port = 70000: takes a whole number from 0 to 65535, or "off"',
        'FILE:5: chat.max_line = true: takes a whole number from 80 to 1048576 (bytes), or "off"',
        'FILE:7: udp.loss = "130%": a probability is 0 to 1 or 0% to 100%, such as 0.3 or 30%',
        'FILE:9: mail.sandbox.idle_s = "soon": takes a number from 1 to 3600 (s)',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = = 1\n", "FILE: not valid TOML: Invalid value (at line 1, column 8)"),
        ('host = "lab"\n', "takes an address"),
        ("services = []\n", "services is empty"),
        ('services = ["chat", "gopher"]\n', "takes some of chat, udp, web, mail"),
        ('services = ["chat", "chat"]\n', "takes each word once"),
        ("smtp.port = 2525\n", "FILE:1: unknown table smtp; the known ones are chat, udp,"),
        ("\n[smtp.sandbox]\nport = 1\n", "FILE:2: unknown table smtp; the known ones"),
        ("[a.b]\n", "FILE:1: unknown table a; the known ones"),
        ("[wbe]\n", "FILE:1: unknown table wbe; the nearest known one is web"),
        ("mail.port = 2525\n", "unknown key mail.port; the nearest known one is mail.sandbox.port"),
        ("mail = 5\n", "FILE:1: mail is a table; write [mail.sandbox] and its keys below it"),
        ("chat = 3\n", "FILE:1: chat is a table; write [chat] and its keys below it"),
        ('"" = 3\n', "FILE:1: unknown key "),
        ('"a\\U00000041" = 1\n', "FILE:1: unknown key aA"),
        ('[web]\nroot = "/no/such/place"\n', "no such directory"),
        (f"seed = {'1' * 5000}\n", "FILE: not valid TOML: Exceeds the limit"),
        (f"seed = {'[' * 5000}\n", "FILE: not valid TOML: maximum recursion"),
        (
            '\n"chat.port" = 1\n',
            'FILE:2: "chat.port": quotes make one name of it; write chat.port without them',
        ),
        ('["mail.sandbox"]\nport = 1\n', 'FILE:2: "mail.sandbox".port: quotes make one name of'),
        ('mail."sandbox.port" = 1\n', "write mail.sandbox.port without them"),
    ],
)
def test_a_mistake_names_what_would_be_right(tmp_path: Path, text: str, message: str) -> None:
    """Each kind of mistake has its own sentence."""
    (found,) = mistakes(tmp_path, text)
    assert message in found


def test_unknown_variables_are_mistakes_but_the_mail_password_is_known(tmp_path: Path) -> None:
    """A typing error in a variable's name does not pass in silence."""
    environ = {"NETLAB_CHAT_PROT": "1", "NETLAB_MAIL_PASSWORD": "x", "HOME": "/h"}
    assert mistakes(tmp_path, "", environ) == [
        "$NETLAB_CHAT_PROT: unknown variable; the nearest known one is NETLAB_CHAT_PORT"
    ]


def test_an_empty_variable_counts_as_not_set() -> None:
    """Whatever its key takes: that is how one unsets a variable in a container's environment."""
    environ = dict.fromkeys((k.variable for k in config.KEYS.values()), "")
    empty, clean = config.load(None, environ, {}), config.load(None, {}, {})
    assert empty.settings == clean.settings


def test_a_file_of_a_windows_editor(tmp_path: Path) -> None:
    """A byte order mark and CRLF line ends are read over."""
    file = tmp_path / "netlab.toml"
    file.write_bytes("\ufeffseed = 7\r\n[chat]\r\nport = 1\r\n".encode())
    loaded = config.load(file, {}, {})
    assert (loaded.daemon.seed, loaded.chat.port) == (7, 1)
    assert loaded.settings["chat.port"].source == f"{file}:3"


def test_off_is_a_value_for_what_has_a_limit(tmp_path: Path) -> None:
    """In a file as for a flag; --print-config writes it as it was."""
    file = tmp_path / "netlab.toml"
    file.write_text('[chat]\nrate = "off"\nmax_line = "off"\n')
    loaded = config.load(file, {}, {})
    assert (loaded.chat.rate, loaded.chat.max_line) == (None, None)
    assert f'rate = "off"  # {file}:2' in loaded.as_toml()


def test_the_home_directory_in_a_path(tmp_path: Path) -> None:
    """No shell expands ~ in a file, nor after --state-dir= or --www=."""
    file = tmp_path / "netlab.toml"
    file.write_text('state_dir = "~/lab"\n[web]\nroot = "~"\n')
    loaded = config.load(file, {}, {})
    assert loaded.daemon.state_dir == str(Path.home() / "lab")
    assert loaded.web.root == str(Path.home())
    assert config.load(None, {}, {"www": "~/"}).web.root == f"{Path.home()}/"


def test_listen_and_port_exclude_each_other(tmp_path: Path) -> None:
    """Both in one file is a mistake; a flag sets the file's endpoints aside."""
    text = '[chat]\nlisten = ["tcp:12000"]\nport = 1\n'
    assert "both set; keep one" in mistakes(tmp_path, text)[0]
    file = tmp_path / "netlab.toml"
    file.write_text('[chat]\nlisten = ["tcp:12000"]\n')
    assert config.load(file, {}, {}).chat.listen == ("tcp:12000",)
    loaded = config.load(file, {}, {"chat-port": "5"})
    assert (loaded.chat.listen, loaded.chat.port) == ((), 5)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"STATE_DIRECTORY": "/a:/b", "XDG_STATE_HOME": "/x"}, "/a"),
        ({"XDG_STATE_HOME": "/x"}, "/x/netlab"),
        ({"HOME": "/h"}, "/h/.local/state/netlab"),
        ({"HOME": "/h", "NETLAB_STATE_DIR": "/n"}, "/n"),
        ({"HOME": "/h", "NETLAB_STATE_DIR": ""}, "/h/.local/state/netlab"),
        ({"NETLAB_STATE_DIR": "~/n"}, str(Path.home() / "n")),
    ],
)
def test_where_the_state_directory_is(environ: dict[str, str], path: str) -> None:
    """systemd's directory first, then the one of the XDG base directories."""
    assert config.load(None, environ, {}).daemon.state_dir == path


def test_a_missing_file_and_a_file_in_another_encoding(tmp_path: Path) -> None:
    """Both are one line that names the file."""
    with pytest.raises(config.ConfigError, match="cannot read the configuration: No such file"):
        config.load(tmp_path / "missing.toml", {}, {})
    gbk = tmp_path / "gbk.toml"
    gbk.write_bytes("# 说明\nhost = '::1'\n# 你好\n".encode("gbk"))
    with pytest.raises(config.ConfigError, match=r"gbk.toml:1: not UTF-8"):
        config.load(gbk, {}, {})


def test_a_table_of_ones_own_names(tmp_path: Path) -> None:
    """Virtual hosts and rules by extension: from a file, in either form, and from a variable."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    file = tmp_path / "lab.toml"
    file.write_text(
        '[web]\ncache_control = {CSS = "max-age=9"}\n'
        '[web.hosts."A.lab"]\nroot = "a"\n[web.hosts.b]\nroot = "b"\n'
    )
    loaded = config.load(file, {}, {}, tmp_path)
    assert {name: host.root for name, host in loaded.web.hosts.items()} == {"a.lab": "a", "b": "b"}
    assert loaded.web.cache_control == {"css": "max-age=9"}
    assert loaded.settings["web.hosts"].source == f"{file}:3"
    printed = tmp_path / "printed.toml"
    printed.write_text(loaded.as_toml())
    assert config.load(printed, {}, {}, tmp_path).web == loaded.web
    environ = {"NETLAB_WEB_HOSTS": '{"c.lab" = {root = "b"}}'}
    assert list(config.load(file, environ, {}, tmp_path).web.hosts) == ["c.lab"]


def test_mistakes_in_a_table_have_their_line(tmp_path: Path) -> None:
    """What is wrong below a name of one's own is told with the line where it stands."""
    found = mistakes(
        tmp_path,
        '[web]\ncache_control = {".css" = "x", js = 5}\n'
        '[web.hosts."a.lab"]\nrot = "a"\n[web.hosts."b:80"]\nroot = "b"\n',
    )
    assert found == [
        'FILE:2: web.cache_control.".css": an extension without its dot, such as css, or "*" for '
        "the rest",
        'FILE:2: web.cache_control.js: takes what Cache-Control may say, such as "max-age=3600" or '
        '"no-cache"',
        'FILE:4: web.hosts."a.lab".rot: unknown key; the nearest known one is root',
        'FILE:5: web.hosts."b:80": a name as it stands in a URL, without port: a.lab, 10.0.0.5 or '
        "[::1]",
    ]
    found = mistakes(tmp_path, '[web.hosts."a.lab"]\n[web.hosts."b.lab"]\n\nroot = "/no/such"\n')
    assert found == [
        'FILE:1: web.hosts."a.lab".root = "": no such directory; name one that exists',
        'FILE:4: web.hosts."b.lab".root = "/no/such": no such directory; name one that exists',
    ]
    assert mistakes(tmp_path, "[web]\nhosts = 5\n") == ["FILE:2: web.hosts = 5: takes a table"]
    assert mistakes(tmp_path, environ={"NETLAB_WEB_HOSTS": "a.lab"}) == [
        '$NETLAB_WEB_HOSTS: web.hosts = "a.lab": takes a table'
    ]
