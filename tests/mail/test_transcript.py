"""The dialogue as lines, without its secrets."""

from __future__ import annotations

from netlabsvc.mail.transcript import Transcript


def told(*dialogue: str) -> list[str]:
    """The texts of a dialogue whose lines are written ``C: ...`` and ``S: ...``."""
    transcript, texts = Transcript(), []
    for line in dialogue:
        say = transcript.client if line.startswith("C") else transcript.server
        texts.append(say(0.0, line[3:].encode()).text)
    return texts


def test_a_line_has_its_side_and_time() -> None:
    """People see who said it; the time stands at the right."""
    line = Transcript().server(0.0125, b"250 ok")
    assert str(line).split() == ["S:", "250", "ok", "0.0125"]
    assert str(line).startswith("S: 250 ok ")


def test_what_authenticates_is_never_told() -> None:
    """The initial response, and whatever answers a 334, for every mechanism."""
    assert told("C: AUTH PLAIN c2VjcmV0", "S: 235 ok") == ["AUTH PLAIN <secret>", "235 ok"]
    login = told("C: auth LOGIN", "S: 334 VXNlcg==", "C: YWRh", "S: 334 UGFzcw==", "C: cHc=")
    assert login == ["auth LOGIN", "334 VXNlcg==", "<secret>", "334 UGFzcw==", "<secret>"]
    assert told("S: 334 PDE+", "C: *", "S: 501 no") == ["334 PDE+", "*", "501 no"]
    assert told("C: AUTH  PLAIN  a b") == ["AUTH PLAIN <secret>"]
    # A secret may look like a command.
    assert told("S: 334 ", "C: QUIT", "S: 235 ok", "C: QUIT")[1::2] == ["<secret>", "QUIT"]


def test_a_server_cannot_drive_the_terminal() -> None:
    """Control characters, and bytes that are no text, are written out."""
    assert Transcript().server(0.0, b"250 \x1b[2J\xff\r").text == r"250 \x1b[2J\xff\r"
