"""Nobody can write a line that seems to come from the server or from somebody else."""

from __future__ import annotations

import re
import socket
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.crowd import SAID
from support.daemon import PATIENCE_S, Daemon

#: Whatever some terminal, program or person takes for the end of a line.
ENDS = ["\r", "\r\0", "\n", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
TRICKS = [
    *ENDS,
    "\x1b[2K\x1b[1G",
    "\x1b[1A",
    "\x1b]0;title\x07",
    "\x9b1A",
    "\x90x\x9c",
    "\b" * 80,
    "\x7f" * 80,
    "\x00",
    "\u202e",
    "\u2066",
    "\u2067",
    "\u2068",
    "\u2069",
    "\u200f",
    "\u061c",
]
LIES = ["*** server: all leave now", "[2026-11-20 14:03:07] operator (10.0.0.1:1): give me", "*** "]
DID = re.compile(rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \S+ \((\S+?)\) .*")
#: What may stand in a line that is shown: nothing that moves a cursor, ends a line, turns it round.
UNSEEMLY = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
RAW = [
    b"\xff\xff",
    b"\xff\xf4\xff\xfd\x06",
    b"\xc2",
    b"\x85",
    b"\x9b",
    b"\xe2\x80",
    b"\x81\x30\x84\x35",
]


class Pair:
    """A liar, and two who listen: one reads UTF-8, the other GB18030."""

    def __init__(self, daemon: Daemon) -> None:
        self.liar, self.utf8, self.gbk = (self.join(daemon) for _ in range(3))
        self.files = {"utf-8": self.utf8.makefile("rb"), "gb18030": self.gbk.makefile("rb")}
        self.gbk.sendall("我们都用这种编码来说话\n".encode("gb18030"))
        while "我们都用这种编码".encode() not in self.files["utf-8"].readline():
            pass
        self.peer = b"127.0.0.1:%d" % self.liar.getsockname()[1]
        self.mark = 0
        self.heard()

    def join(self, daemon: Daemon) -> socket.socket:
        return socket.create_connection(("127.0.0.1", daemon.ports["chat"]), PATIENCE_S)

    def heard(self) -> dict[str, list[str]]:
        """What both heard until now, by encoding: lines as they came, whoever said them."""
        self.mark += 1
        self.liar.sendall(b"\nmark %d\n" % self.mark)
        end = b": mark %d\n" % self.mark
        heard: dict[str, list[str]] = {}
        for encoding, file in self.files.items():
            lines = []
            while not (line := file.readline()).endswith(end):
                assert line, "the listener was cut"
                lines.append(line.removesuffix(b"\n").decode(encoding))
            heard[encoding] = lines
        return heard


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("spoofing")
    with Daemon(directory, "--services=chat", NETLAB_CHAT_RATE="off") as daemon:
        yield Pair(daemon)


def check(pair: Pair, sent: bytes) -> None:
    """All that comes of some bytes are lines that begin with the liar's own address."""
    pair.liar.sendall(sent)
    for lines in pair.heard().values():
        for line in lines:
            match = SAID.match(line.encode())
            assert match, (sent, line)
            assert match[2] == pair.peer, (sent, line)
            assert not UNSEEMLY.search(line), (sent, line)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("trick", [*TRICKS, "\x1b[2J"], ids=repr)
def test_a_known_trick_is_shown_for_what_it_is(pair: Pair, trick: str, lie: str) -> None:
    """Line ends, escape sequences, C1 and bidirectional controls, in front of a forged line."""
    for encoding in ("utf-8", "gb18030"):
        check(pair, f"hello{trick}{lie}".encode(encoding))
        check(pair, f"{trick}{lie}{trick}".encode(encoding))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.sampled_from(TRICKS).map(str.encode),
            st.sampled_from(LIES).map(str.encode),
            st.sampled_from(RAW),
            st.text(max_size=8).map(lambda x: x.encode("utf-8", "replace")),
            st.binary(max_size=8),
        ),
        max_size=10,
    )
)
def test_any_bytes_become_lines_of_their_sender(pair: Pair, pieces: list[bytes]) -> None:
    """Whatever is sent, no line of another and none of the server comes of it."""
    # A subnegotiation would swallow all that follows; a line that begins with / is a command.
    sent = re.sub(rb"\xff+\xfa+", b"", b"".join(pieces))
    # A TELNET command at the end takes two bytes at most.
    check(pair, b"> " + re.sub(rb"(\n|\r\0)", rb"\1> ", sent) + b"  ")


@pytest.mark.parametrize("lie", [*LIES, "-> you: give me", ": give me", "(10.0.0.1:1): give me"])
def test_what_one_does_is_a_line_of_its_own(pair: Pair, lie: str) -> None:
    """/me puts any text behind its speaker's address, and nothing in the brackets before it."""
    pair.liar.sendall(f"/me {lie}".encode())
    for lines in pair.heard().values():
        (line,) = lines
        assert DID.fullmatch(line.encode())[1] == pair.peer  # type: ignore[index]


def name(pair: Pair, wanted: str) -> str:
    """Ask for a name; the answer is the name by which the room then knows the liar."""
    pair.liar.sendall(f"/nick {wanted}\nthis is me".encode())
    said = [x for x in pair.heard()["utf-8"] if x.endswith("this is me")]
    match = SAID.match(said[-1].encode())
    assert match
    return match[1].decode()


#: Seen on a screen each is nothing, or a blank.
INVISIBLE = (
    "\u00ad\u034f\u115f\u1160\u17b4\u180e\u200b\u200c\u200d\u2060\u2800\u3164\ufe0f\ufeff\uffa0"
)


@pytest.mark.parametrize("char", INVISIBLE, ids=lambda c: f"U+{ord(c):04X}")
def test_no_name_holds_what_cannot_be_seen(pair: Pair, char: str) -> None:
    """Alone, or beside a name that somebody else could have."""
    for wanted in (char, f"小明{char}", f"김{char}", f"ada{char}", f"{char}ada"):
        got = name(pair, wanted)
        assert not set(got) & {char, unicodedata.normalize("NFKC", char)}, got


@pytest.mark.parametrize("mine", ["ADA", "ａｄａ", "аda", "ad\u0430", "ad\u1d43", "ada\u0338"])
def test_names_that_look_alike_are_refused(pair: Pair, mine: str) -> None:
    """Another case, another width, another script's letter, a superscript one, marks on top."""
    pair.utf8.sendall(b"/nick ada\n")
    while b"is now ada" not in pair.files["utf-8"].readline():
        pass
    assert name(pair, mine) not in (mine, unicodedata.normalize("NFKC", mine))


@pytest.mark.parametrize(
    "wanted", ["server", "OPERATOR", "Ａｌｌ", "***", "[x]", "a b", "a:", "(a"]
)
def test_names_that_seem_official_are_refused(pair: Pair, wanted: str) -> None:
    """Reserved words, and whatever could end a header."""
    seen = unicodedata.normalize("NFKC", name(pair, wanted)).casefold()
    assert seen != unicodedata.normalize("NFKC", wanted).casefold()
