"""irtt's server side: real packets, sessions, what gets no answer.

The golden sessions were captured on loopback with irtt 0.9.0 (Debian 12): a script of two UDP
sockets stood between ``irtt client`` and ``irtt server`` and printed in hex what each of them
sent. Our server must answer the client's packets with the bytes of the original.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp import irtt
from netlabsvc.udp.irtt import Irtt
from netlabsvc.udp.parameters import Limits, Parameters, parse
from netlabsvc.udp.sessions import Sessions
from netlabsvc.udp.tongue import Refusal
from support.tongues import Clock, ask, chance, reply

S = 10**9
#: Options of the client; then what client (>) and server (<) sent. Ours fills with what is asked.
GOLDEN = {
    "-i 200ms -d 300ms --tstamp=receive --clock=wall --stats=none": """
        > 14a75b01010202808c8d9e02038088debe0106040702
        < 14a75b03d86e1005cb1e1ec1010202808c8d9e02038088debe0106040702
        > 14a75b00d86e1005cb1e1ec1000000000000000000000000
        < 14a75b02d86e1005cb1e1ec10000000070cf5250dec9e918
        > 14a75b00d86e1005cb1e1ec1010000000000000000000000
        < 14a75b02d86e1005cb1e1ec101000000ff47495cdec9e918
        > 14a75b04d86e1005cb1e1ec1""",
    "-i 200ms -d 300ms --tstamp=send --clock=wall -l 50 --sfill=pattern:0102 --fill=rand": """
        > 14a75b01010202808c8d9e02038088debe010464050606020702090c7061747465726e3a30313032
        < 14a75b03b1cd3522ce10068a010202808c8d9e02038088debe010464050606020702090c7061747465726e3a
          30313032
        > 14a75b00b1cd3522ce10068a0000000000000000000000000000000000000000000000009be6239212e16ff1
          a58382b4a557
        < 14a75b02b1cd3522ce10068a0000000001000000010000000000000097de556746cae9180102010201020102
          010201020102
        > 14a75b00b1cd3522ce10068a0100000000000000000000000000000000000000000000003e00be42e1b95973
          d5ff8fd847c1
        < 14a75b02b1cd3522ce10068a0100000002000000030000000000000012fb707346cae9180102010201020102
          010201020102
        > 14a75b04b1cd3522ce10068a""",
    "-i 200ms -d 300ms --tstamp=midpoint --clock=monotonic --stats=count -l 60": """
        > 14a75b01010202808c8d9e02038088debe010478050206080704
        < 14a75b0336f14d85458d145c010202808c8d9e02038088debe010478050206080704
        > 14a75b0036f14d85458d145c0000000000000000000000000000000000000000000000000000000000000000
          00000000000000000000000000000000
        < 14a75b0236f14d85458d145c000000000100000031d49a180000000069727474697274746972747469727474
          69727474697274746972747469727474
        > 14a75b0036f14d85458d145c0100000000000000000000000000000000000000000000000000000000000000
          00000000000000000000000000000000
        < 14a75b0236f14d85458d145c0100000002000000b43293240000000069727474697274746972747469727474
          69727474697274746972747469727474
        > 14a75b0436f14d85458d145c""",
    "--no-test": """
        > 14a75b0501020280e0ba84bf030380a8d6b907050606060706
        < 14a75b07000000000000000001020280e0ba84bf030380a8d6b907050606060706""",
}
#: -i 200ms -d 500ms --hmac=secret -l 80 --sfill=rand: open, one echo, close.
SIGNED = [
    bytes.fromhex(packet)
    for packet in (
        "14a75b096d6b8d859338ab10610d5e1c90a2c5d8"
        "0102028094ebdc03038088debe0104a001050606060706090472616e64",
        "14a75b0b995cf82fc009372b25fc40bf58c539051746d873d37568fe"
        "0102028094ebdc03038088debe0104a001050606060706090472616e64",
        "14a75b088ae61611e0096254008fad7e8cb1a1991746d873d37568fe" + "00" * 52,
        "14a75b0a5e017718acef67d1a02a3fc1f3316f9d1746d873d37568fe00000000"
        "01000000010000000000000088dfd1d1ddc9e918e87e701800000000"
        "f7f6d1d1ddc9e9183996701800000000a47c5fea",
        "14a75b0c5911391e3c94c8a78e0a386bb3c77a631746d873d37568fe",
    )
]
TOKEN = b"irtt-tkn"


def packets(session: str) -> list[tuple[bytes, bytes | None]]:
    """Each packet of the client, and the original server's reply to it."""
    asked = []
    for exchange in session.split(">")[1:]:
        request, _, answer = exchange.partition("<")
        asked.append((bytes.fromhex(request), bytes.fromhex(answer) or None))
    return asked


def server(
    limits: Limits | None = None, key: bytes | None = None, token: bytes = TOKEN
) -> tuple[Irtt, Clock]:
    """A server whose first token is known, as is its random fill: zeros; and its clock."""
    clock = Clock(1000 * S)
    tongue = Irtt(clock, chance(token), limits or Limits(), key)
    return tongue, clock


def opened(tongue: Irtt, asked: Parameters, port: int = 40000) -> Parameters:
    """Open a session; what was granted."""
    answer = reply(tongue, b"\x14\xa7\x5b\x01" + asked.encode(), port=port)
    assert answer[:12] == b"\x14\xa7\x5b\x03" + TOKEN
    return parse(answer[12:])


def echo(number: int, length: int = 60, flags: int = 0, token: bytes = TOKEN) -> bytes:
    """An echo request without an HMAC."""
    head = b"\x14\xa7\x5b" + bytes((flags,)) + token
    return (head + number.to_bytes(4, "little")).ljust(length, b"\0")


DEFAULT = Parameters(1, 60 * S, S, 0, 3, 3, 3)


@pytest.mark.parametrize("options", GOLDEN)
def test_golden_sessions(options: str) -> None:
    """At the original's token and times our replies are the original's, byte for byte."""
    session = packets(GOLDEN[options])
    first = session[0][1]
    assert first is not None
    tongue, clock = server(token=first[4:12])
    at = 16 + 4 * ("count" in options) + 12 * ("-l 50" in options)
    for request, expected in session:
        stamp = int.from_bytes((expected or b"")[at : at + 8], "little")
        clock.now_ns = stamp if "monotonic" in options and stamp else clock.now_ns
        assert ask(tongue, request, received_ns=stamp, sent_ns=stamp) == expected


def test_golden_session_with_hmac() -> None:
    """The original's HMACs are good for us, its random fill apart its reply is ours."""
    open_, opened_, echo_, echoed, close = SIGNED
    tongue, clock = server(key=b"secret", token=opened_[20:28])
    assert all(irtt.authentic(packet, b"secret") for packet in SIGNED)
    assert ask(tongue, open_) == opened_
    received, _, sent, clock.now_ns = (
        int.from_bytes(echoed[at : at + 8], "little") for at in (44, 52, 60, 68)
    )
    answer = ask(tongue, echo_, received_ns=received, sent_ns=sent)
    assert isinstance(answer, bytes)
    assert irtt.authentic(answer, b"secret")
    # The original reads its two clocks one after the other: 10 ns apart.
    apart = int.from_bytes(echoed[52:60], "little") - int.from_bytes(answer[52:60], "little")
    assert abs(apart) < 100
    assert answer[20:52] + answer[60:76] == echoed[20:52] + echoed[60:76]
    assert ask(tongue, close) is None
    assert ask(tongue, echo_) is Refusal.NO_SESSION


def test_hmac_is_needed_where_there_is_a_key_and_refused_where_there_is_none() -> None:
    """A wrong one, none, and one that nobody agreed on."""
    open_ = SIGNED[0]
    for at in range(20, len(open_)):
        forged = open_[:at] + bytes((open_[at] ^ 1,)) + open_[at + 1 :]
        assert ask(server(key=b"secret")[0], forged) is Refusal.BAD_HMAC
    assert ask(server(key=b"other")[0], open_) is Refusal.BAD_HMAC
    assert ask(server()[0], open_) is Refusal.BAD_HMAC
    bare = open_[:3] + b"\x01" + open_[20:]
    assert ask(server(key=b"secret")[0], bare) is Refusal.BAD_HMAC


def test_stamps_of_both_moments_and_clocks() -> None:
    """Received, sent and the moment between them, each on the wall clock and the monotonic one."""
    for stamps, ages in ((3, (50, 0)), (4, (25,)), (1, (0,)), (2, (50,))):
        tongue, clock = server()
        opened(tongue, Parameters(1, S, S, 0, 0, stamps, 3))
        clock.now_ns = 2000
        answer = ask(tongue, echo(0), received_ns=5000, sent_ns=5050)
        assert isinstance(answer, bytes)
        got = [int.from_bytes(answer[i : i + 8], "little") for i in range(16, len(answer), 8)]
        assert got == [at - age for age in ages for at in (5050, 2000)]


def test_count_and_window_are_of_different_packets() -> None:
    """Copies do not count, so that a client that subtracts is right; late ones have their bits."""
    tongue, _ = server()
    opened(tongue, DEFAULT)
    told = []
    for number in (0, 1, 1, 3, 2, 2, 5):
        answer = reply(tongue, echo(number))
        told.append((answer[12], answer[16], int.from_bytes(answer[20:28], "little")))
    assert told == [
        (0, 1, 0b1), (1, 2, 0b11), (1, 2, 0b11), (3, 3, 0b1101),
        (2, 4, 0b111), (2, 4, 0b111), (5, 5, 0b111101),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fill", "payload"),
    [
        (b"", b"irttirttir"),
        (b"pattern", b"irttirttir"),
        (b"pattern:0a0B0c", b"\x0a\x0b\x0c\x0a\x0b\x0c\x0a\x0b\x0c\x0a"),
        (b"none", b"0123456789"),
        (b"rand", bytes(10)),
        (b"pattern:0", b"irttirttir"),
        (b"\xff\x00%s", b"irttirttir"),
    ],
)
def test_server_fill(fill: bytes, payload: bytes) -> None:
    """What the payload of replies consists of; what is unknown is left out of what is granted."""
    tongue, _ = server()
    granted = opened(tongue, Parameters(1, S, S, 70, 3, 3, 3, fill=fill))
    assert granted.fill == (b"" if fill in (b"pattern:0", b"\xff\x00%s") else fill)
    assert reply(tongue, echo(0)[:60] + b"0123456789")[60:] == payload


def test_parameters_are_reduced() -> None:
    """To the limits; the replies have the length that was granted."""
    tongue, _ = server(Limits(duration_ns=S, length_bytes=64))
    granted = opened(tongue, Parameters(1, 9 * S, 10**6, 200, 3, 3, 3, dscp=46))
    assert granted == Parameters(1, S, 10**7, 64, 3, 3, 3)
    assert len(reply(tongue, echo(0, length=200))) == 64


def test_a_reply_has_the_length_of_its_placeholders() -> None:
    """A request without the room for the reply gets none, and is not counted."""
    tongue, _ = server()
    opened(tongue, Parameters(1, S, S, 100, 3, 3, 3))
    assert [ask(tongue, echo(1, length=n)) for n in (4, 12, 16, 99)] == [Refusal.TOO_SHORT] * 4
    answer = reply(tongue, echo(2, length=100))
    assert (len(answer), answer[16]) == (100, 1)


def test_another_version_and_no_version() -> None:
    """A client of another version is told ours, and gets no session."""
    tongue, _ = server()
    assert reply(tongue, bytes.fromhex("14a75b01010402") + b"\2") == bytes.fromhex(
        "14a75b07" + "00" * 8 + "0102"
    )
    assert ask(tongue, bytes.fromhex("14a75b01")) is Refusal.MALFORMED


@pytest.mark.parametrize(
    ("packet", "refusal"),
    [
        (b"\x14\xa7\x5b", Refusal.TOO_SHORT),
        (b"\x14\xa7\x5c\x01" + DEFAULT.encode(), Refusal.MALFORMED),
        (b"\x14\xa7\x5b\x11" + DEFAULT.encode(), Refusal.MALFORMED),
        (b"\x14\xa7\x5b\x01" + DEFAULT.encode()[:-1], Refusal.MALFORMED),
        (b"\x14\xa7\x5b\x01" + DEFAULT.encode() * 9, Refusal.MALFORMED),
        (b"\x14\xa7\x5b\x03" + DEFAULT.encode(), Refusal.LOOP_SUSPECT),
        (echo(0, flags=2), Refusal.LOOP_SUSPECT),
        (echo(0, flags=7), Refusal.LOOP_SUSPECT),
        (echo(0, token=b"a" * 8), Refusal.NO_SESSION),
        (echo(0, token=b"a" * 8, flags=4), Refusal.NO_SESSION),
        (echo(0, token=bytes(8)), Refusal.NO_SESSION),
    ],
)
def test_what_gets_no_answer(packet: bytes, refusal: Refusal) -> None:
    """Nonsense, replies, and tokens that nobody was given."""
    tongue, _ = server()
    opened(tongue, DEFAULT)
    assert ask(tongue, packet) is refusal


def test_a_session_belongs_to_an_address() -> None:
    """Who has the token only can neither use the session nor close it."""
    tongue, _ = server()
    opened(tongue, DEFAULT)
    assert ask(tongue, echo(0), port=40001) is Refusal.WRONG_CLIENT
    assert ask(tongue, echo(0, flags=4), host="192.0.2.8") is Refusal.WRONG_CLIENT
    assert reply(tongue, echo(0))[16] == 1


def test_sessions_end() -> None:
    """Half open after 5 s, in use after 300 s of silence, closed at once and without answer."""
    for pauses_s, alive in (([5], True), ([5.1], False), ([5, 300], True), ([5, 300.1], False)):
        tongue, clock = server()
        opened(tongue, DEFAULT)
        answers = []
        for pause_s in pauses_s:
            clock.now_ns += int(pause_s * S)
            answers.append(ask(tongue, echo(0)))
        assert isinstance(answers[-1], bytes) is alive
        assert ask(tongue, echo(0, flags=4)) is (None if alive else Refusal.NO_SESSION)
        assert ask(tongue, echo(0)) is Refusal.NO_SESSION


def test_a_session_lasts_no_longer_than_the_limit() -> None:
    """Beyond its duration and two seconds of grace the reply says that it is closed."""
    tongue, clock = server(Limits(duration_ns=S))
    opened(tongue, DEFAULT)
    flags = []
    for pause_s in (0, 3, 1):
        clock.now_ns += pause_s * S
        flags.append(reply(tongue, echo(0))[3])
    assert flags == [2, 2, 6]
    assert ask(tongue, echo(0)) is Refusal.NO_SESSION


def test_tokens_differ_and_sessions_are_capped() -> None:
    """A token in use or of zeros is drawn again; openings beyond the cap end no session in use."""
    draws = iter([bytes(8), TOKEN, TOKEN, b"b" * 8, *(os.urandom(8) for _ in range(50))])
    tongue = Irtt(Clock(), lambda n: next(draws), Limits(), None, Sessions(cap=3))
    opened(tongue, DEFAULT)
    reply(tongue, echo(0))
    second = reply(tongue, b"\x14\xa7\x5b\x01" + DEFAULT.encode(), port=40001)
    assert second[4:12] == b"b" * 8
    for _ in range(50):
        reply(tongue, b"\x14\xa7\x5b\x01" + DEFAULT.encode(), host="198.51.100.9")
    assert reply(tongue, echo(1))[16] == 2
    assert ask(tongue, echo(0, token=b"b" * 8), port=40001) is Refusal.NO_SESSION


def test_an_open_reply_is_longer_by_the_token() -> None:
    """Where the source may not have that there is no reply; and it is never more than 12 bytes."""
    tongue, _ = server(Limits(interval_ns=2**60, most_interval_ns=2**60))
    open_ = b"\x14\xa7\x5b\x01" + DEFAULT.encode()
    assert len(reply(server()[0], open_)) == len(open_) + 8
    assert ask(server()[0], open_, may_grow=False) is Refusal.WOULD_GROW
    quick = b"\x14\xa7\x5b\x01" + Parameters(1, S, 1).encode()
    assert ask(tongue, quick) is Refusal.WOULD_GROW


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2, 4, 5, 8]), st.binary(max_size=90)), max_size=8),
    st.builds(
        Parameters,
        version=st.integers(0, 2),
        duration_ns=st.integers(0, S),
        interval_ns=st.integers(0, S),
        length_bytes=st.integers(0, 90),
        stats=st.integers(0, 3),
        stamps=st.integers(0, 4),
        clocks=st.integers(0, 3),
        fill=st.sampled_from([b"", b"rand", b"none", b"pattern:", b"pattern:01"]),
    ),
    st.sampled_from([None, b"key"]),
)
def test_any_packets(
    packets: list[tuple[int, bytes]], asked: Parameters, key: bytes | None
) -> None:
    """Nothing raises; no reply is longer than its request, but that to an open request."""
    tongue, _ = server(key=key)
    for flags, rest in [(1, asked.encode()), *((f, TOKEN + r) for f, r in packets)]:
        head = irtt.MAGIC + bytes((flags | (8 if key else 0),))
        request = head + (irtt._hmac(head, rest, key) if key else b"") + rest
        answer = ask(tongue, request)
        if isinstance(answer, bytes):
            assert len(answer) <= len(request) + (irtt.GROWTH_BYTES if flags & 1 else 0)
            assert answer[3] & 2
