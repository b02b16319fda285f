"""STAMP: golden packets both ways, modes, sessions, what gets no answer."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib import stamp as theirs

from netlabsvc.udp import ntp, stamp
from netlabsvc.udp.stamp import Stamp
from netlabsvc.udp.tongue import Refusal
from support.outside import need
from support.tongues import T1_NS, T2_NS, T3_NS, Clock, ask, reply

KEY = b"0123456789abcdef0123456789abcdef"
S = 10**9
REQUEST = bytes.fromhex("00000001e8fe6f801f9add3713841234" + "00" * 28)
REPLY = bytes.fromhex(
    "00000000e8fe6f801fc1bda58e841234e8fe6f801fbe76c800000001e8fe6f801f9add37138400003f000000"
)
AUTHENTICATED_REQUEST = bytes.fromhex(
    "00000001" + "00" * 12 + "e8fe6f801f9add3713841234" + "00" * 68
    + "03f998660f647e45a3f8113c20410704"
)  # fmt: skip
AUTHENTICATED_REPLY = bytes.fromhex(
    "00000000" + "00" * 12 + "e8fe6f801fc1bda58e841234" + "00" * 4
    + "e8fe6f801fbe76c8" + "00" * 8 + "00000001" + "00" * 12
    + "e8fe6f801f9add371384" + "00" * 6 + "3f" + "00" * 15
    + "c85254dd31dc713d3dbd4259a4d07397"
)  # fmt: skip
GOLDEN = {
    "plain": (None, REQUEST, REPLY),
    "hmac": (KEY, AUTHENTICATED_REQUEST, AUTHENTICATED_REPLY),
}


def reflector(
    key: bytes | None = None, stateful: bool = True, extensions: bool = True, cap: int = 100
) -> tuple[Stamp, Clock]:
    """A reflector whose clock is good to 500 microseconds, and the clock of its sessions."""
    clock = Clock(1000 * S)
    tongue = Stamp(clock, key, stateful, extensions, cap)
    tongue.error_estimate = 0x8E84
    return tongue, clock


def probe(number: int, ssid: int = 0) -> bytes:
    """A test packet with this number."""
    return stamp.request(number, T1_NS, 0x1384, ssid)


def counted(tongue: Stamp, data: bytes, port: int = 40000) -> int:
    """The number of the reply to a datagram."""
    return int.from_bytes(reply(tongue, data, port=port)[:4], "big")


@pytest.mark.parametrize("mode", GOLDEN)
def test_golden_packets(mode: str) -> None:
    """The vectors: the request as it is made, its reply as it is sent and as it is read."""
    key, request, golden = GOLDEN[mode]
    assert stamp.request(1, T1_NS, 0x1384, 0x1234, key) == request
    assert ask(reflector(key)[0], request) == golden
    t1, t2, t3 = (ntp.from_unix_ns(at_ns) for at_ns in (T1_NS, T2_NS, T3_NS))
    read = stamp.parse_reply(golden, key)
    assert read == (0, t3, 0x8E84, 0x1234, t2, 1, t1, 0x1384, 63)


def test_outside_dissection() -> None:
    """scapy finds every field of our reply where the RFC has it."""
    seen = theirs.STAMPSessionReflectorTestUnauthenticated(REPLY)
    assert (seen.seq, seen.ssid, seen.seq_sender, seen.ttl_sender) == (0, 0x1234, 1, 63)
    assert (seen.err_estimate.S, seen.err_estimate.scale) == (1, 14)
    assert seen.err_estimate_sender.multiplier == 0x84
    asked = theirs.STAMPSessionSenderTestUnauthenticated(REQUEST)
    assert (asked.seq, asked.ssid, asked.err_estimate.scale) == (1, 0x1234, 19)


@pytest.mark.parametrize("packet", [AUTHENTICATED_REQUEST, AUTHENTICATED_REPLY])
def test_outside_authentication(packet: bytes) -> None:
    """OpenSSL makes the same HMAC of the first 96 octets (RFC 8762 section 4.4)."""
    command = [need("openssl"), "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"key:{KEY.decode()}"]
    done = subprocess.run([*command, "-binary"], input=packet[:96], capture_output=True, check=True)
    assert done.stdout[:16] == packet[96:]


@pytest.mark.parametrize("at", range(112))
def test_no_byte_of_an_authenticated_request_may_change(at: int) -> None:
    """One flipped bit anywhere, in the HMAC too, and there is no answer."""
    forged = bytearray(AUTHENTICATED_REQUEST)
    forged[at] ^= 0x10
    assert ask(reflector(KEY)[0], bytes(forged)) is Refusal.BAD_HMAC
    assert stamp.parse_reply(bytes(forged), KEY) is None


def test_keys_and_modes_do_not_mix() -> None:
    """Another key, no HMAC, a packet that is cut: no answer. A weak key is no key."""
    assert ask(reflector(KEY[::-1])[0], AUTHENTICATED_REQUEST) is Refusal.BAD_HMAC
    assert ask(reflector(KEY)[0], REQUEST) is Refusal.TOO_SHORT
    assert ask(reflector(KEY)[0], AUTHENTICATED_REQUEST[:111]) is Refusal.TOO_SHORT
    with pytest.raises(ValueError, match="16 bytes"):
        Stamp(Clock(), b"0123456789abcde")


@pytest.mark.parametrize("length", range(201))
@pytest.mark.parametrize("extensions", [False, True])
def test_every_length(length: int, extensions: bool) -> None:
    """Below 14 none; up to 44 exactly 44 where that is allowed; else as long as the request."""
    tongue, _ = reflector(extensions=extensions)
    request = (REQUEST + bytes(range(1, 200)))[:length]
    if length < 14:
        assert ask(tongue, request) is Refusal.TOO_SHORT
        return
    answer = reply(tongue, request)
    assert len(answer) == max(44, length)
    assert answer[24:38] == request[:14]
    assert extensions or answer[44:] == request[44:]
    if length < 44:
        assert ask(tongue, request, may_grow=False) is Refusal.WOULD_GROW


def test_the_shortest_request() -> None:
    """14 bytes of a TWAMP-Light sender: what is missing counts as zero."""
    assert reply(reflector()[0], REQUEST[:14]) == REPLY[:14] + bytes(2) + REPLY[16:]


def test_a_short_reply() -> None:
    """A TWAMP-Light reflector answers 38 bytes: all but the TTL can be read; 36 are the least."""
    whole, short = stamp.parse_reply(REPLY), stamp.parse_reply(REPLY[:38])
    assert whole is not None
    assert short == whole._replace(ttl=None)
    assert stamp.parse_reply(REPLY[:36]) is not None
    assert stamp.parse_reply(REPLY[:35]) is None


def test_padding_comes_back() -> None:
    """Without extensions all behind byte 14 is padding: no SSID, no session of its own."""
    tongue, _ = reflector(extensions=False)
    for i in range(3):
        padding = bytes((i, 7)) + bytes(28) + bytes((0x80, 5, 0, 12, *range(12)))
        answer = reply(tongue, REQUEST[:14] + padding)
        assert (answer[:4], answer[14:16]) == (bytes((0, 0, 0, i)), bytes(2))
        assert answer[44:] == padding[30:]


def test_stateless_replies_carry_the_number_of_the_request() -> None:
    """They are told apart from stateful ones, which count from 0 on."""
    stateless, stateful = reflector(stateful=False)[0], reflector()[0]
    assert [counted(stateless, probe(n)) for n in (5, 9, 9)] == [5, 9, 9]
    assert [counted(stateful, probe(n)) for n in (5, 9, 9)] == [0, 1, 2]


def test_sessions_are_told_apart() -> None:
    """By address, port and SSID."""
    tongue, _ = reflector()
    assert [counted(tongue, probe(0)), counted(tongue, probe(1))] == [0, 1]
    assert counted(tongue, probe(2), port=40001) == 0
    assert counted(tongue, probe(2, ssid=9)) == 0
    assert reply(tongue, probe(2), host="192.0.2.8")[:4] == bytes(4)
    assert counted(tongue, probe(2)) == 2


def test_a_late_copy_of_the_first_packet_wipes_nothing() -> None:
    """Number 0 begins anew after a second of silence, or after a number that was far above."""
    tongue, clock = reflector()
    assert [counted(tongue, probe(n)) for n in (0, 1, 2, 0, 3)] == [0, 1, 2, 3, 4]
    clock.now_ns += S + 1
    assert [counted(tongue, probe(n)) for n in (0, 1)] == [0, 1]
    assert [counted(tongue, probe(n)) for n in (1000, 0)] == [2, 0]


def test_a_session_ends_when_it_is_idle() -> None:
    """After 300 s without a packet the count begins anew; a slow sender keeps its session."""
    tongue, clock = reflector()
    counts = []
    for number, pause_s in enumerate((0, 299, 299, 301)):
        clock.now_ns += pause_s * S
        counts.append(counted(tongue, probe(number + 1)))
    assert counts == [0, 1, 2, 0]


def test_sessions_are_capped() -> None:
    """The least recently used goes; a flood of forged sources does not end one that is in use."""
    tongue, _ = reflector(cap=3)
    assert [counted(tongue, probe(n)) for n in (1, 2)] == [0, 1]
    for port in range(1000, 1100):
        counted(tongue, probe(1), port)
    assert counted(tongue, probe(3)) == 2


@pytest.mark.parametrize("mode", GOLDEN)
def test_loops_die(mode: str) -> None:
    """One forged packet between two reflectors: each answers once at most."""
    key, request, _ = GOLDEN[mode]
    first, second = reflector(key)[0], reflector(key)[0]
    packet: bytes | Refusal | None = request
    for hop in range(4):
        at_ns = T2_NS + hop * 1_000_000
        if isinstance(packet, bytes):
            packet = ask((first, second)[hop % 2], packet, received_ns=at_ns, sent_ns=at_ns)
    assert packet is Refusal.LOOP_SUSPECT


def test_only_our_own_recent_replies_are_loops() -> None:
    """Noise where a reply has its stamps is answered, and so is what is older than a minute."""
    back = stamp.request(1, T1_NS, 0, 0)[:16] + b"\1" * 12 + REPLY[4:12] + bytes(8)
    assert ask(reflector()[0], back) is Refusal.LOOP_SUSPECT
    old = ask(reflector()[0], back, received_ns=T3_NS + 61 * S)
    noise = ask(reflector()[0], REQUEST[:16] + b"\xa5" * 28)
    empty = ask(reflector()[0], back[:16] + bytes(12) + back[28:])
    assert all(isinstance(answer, bytes) for answer in (old, noise, empty))


@given(st.binary(max_size=300), st.booleans(), st.booleans(), st.integers(0, 255))
def test_any_datagram(data: bytes, stateful: bool, extensions: bool, ttl: int) -> None:
    """What holds 14 bytes is reflected byte by byte; nothing raises, in no mode."""
    answer = ask(reflector(None, stateful, extensions)[0], data, ttl=ttl)
    if isinstance(answer, bytes):
        assert (answer[24:38], answer[40]) == (data[:14], ttl)
        assert len(answer) == max(44, len(data))
    else:
        assert answer in (Refusal.TOO_SHORT, Refusal.LOOP_SUSPECT)
    assert isinstance(ask(reflector(KEY, stateful, extensions)[0], data), Refusal)
