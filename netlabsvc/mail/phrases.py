"""What each line of a mail session means, in plain words: English and Chinese.

    C: MAIL FROM:<ada@lab>      a command: what its verb asks for (RFC 5321 section 4.1)
    S: 250 2.1.0 sender ok      a reply: its class, its enhanced code (RFC 3463), what may follow

A reply says little without its command: `State` remembers which commands still wait for theirs, for
a client may send several at once (PIPELINING, RFC 2920). It reads lines of a transcript, secrets
taken out; it decides nothing, and no line makes it raise.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from netlabsvc.mail.codes import CLASSES, GOOD, SUBJECTS, enhanced
from netlabsvc.mail.languages import Both
from netlabsvc.mail.meanings import (
    ASKED,
    COMMANDS,
    EXTENSIONS,
    MECHANISMS,
    NEXT,
    OF_MAIL,
    REFUSED,
    UNKNOWN,
)
from netlabsvc.mail.transcript import Line, Side

Note = Both
_REPLY = re.compile(r"(\d{3})(?:([ -])(?:([245]\.\d{1,3}\.\d{1,3})(?:\s|$))?(.*))?", re.ASCII)
_NOBODY = re.compile(r"(?i)mail\s+from:\s*<>")
_NOTHING = Both("", "")
_TLS = Both(
    "Now both make the connection secret (TLS); then the client begins anew with EHLO.",
    "接下来双方建立加密（TLS）；然后客户端重新从 EHLO 开始。",
)
_ANSWER = Both(
    "The answer to the 334: it belongs to the login, and is not shown.",
    "对 334 的回答：属于登录机密，不显示。",
)
_HAPPENED = Both(
    "No line of the dialogue: the lab notes what happened here.",
    "不是会话中的一行：这里记录发生了什么。",
)
_SECRET = Both(
    "From here on everything is secret; what was said before does not count.",
    "从这里开始全部加密；之前说过的都不算数。",
)
_GIVES_UP = Both("Gives the login up.", "放弃登录。")
_MESSAGE = Both(
    "The message itself, headers and text; a line of one dot ends it.",
    "邮件本身：头字段和正文；单独一行的点表示结束。",
)


@dataclass
class State:
    """How far a session has come, as far as its notes need it.

    :ivar waiting: the verbs that were sent and not answered, the oldest first.
    """

    waiting: deque[str] = field(default_factory=deque)
    greeted: bool = False
    in_data: bool = False
    answers_334: bool = False


def note(side: Side, text: str, state: State) -> Note:
    """What a line means; the state goes on with it.

    :param text: the line as a transcript shows it.
    """
    return _command(text, state) if side == "C" else _reply(text, state)


def notes(dialogue: Iterable[Line]) -> list[Note]:
    """A note for each line of a session, from its greeting on."""
    state = State()
    return [note(line.side, line.text, state) for line in dialogue]


def _command(text: str, state: State) -> Note:
    if state.in_data:
        if text == ".":
            state.in_data = False
            state.waiting.append(".")
            return COMMANDS["."]
        return _MESSAGE
    if text.startswith("("):
        return _HAPPENED
    if state.answers_334:
        state.answers_334 = False
        return _GIVES_UP if text == "*" else _ANSWER
    verb = text.partition(" ")[0].upper()
    if verb not in COMMANDS or verb == ".":
        state.waiting.append("")
        return UNKNOWN
    state.waiting.append(verb)
    return COMMANDS[verb] + _arguments(verb, text)


def _arguments(verb: str, text: str) -> Note:
    """What stands behind the verb and deserves a word."""
    upper = text.upper()
    said = _NOTHING
    if verb == "MAIL":
        if _NOBODY.match(text):
            said += Both(
                "<> is nobody: nothing ever bounces back.", "<> 表示没有发件人：不会有退信。"
            )
        for name in OF_MAIL:
            if re.search(rf" (?:BODY=)?{name}(?:=|\s|$)", upper):
                said += EXTENSIONS[name]
    elif verb == "AUTH":
        said += MECHANISMS.get("".join(upper.split()[1:2]), _NOTHING)
    return said


def _reply(text: str, state: State) -> Note:
    if text.startswith("("):
        state.waiting.clear()  # who was answered in between is not known here
        state.in_data = state.answers_334 = False
        return _SECRET if text.startswith("(TLS") else _HAPPENED
    match = _REPLY.match(text)
    if match is None:
        return Both("No reply: a reply begins with three digits.", "不是应答：应答以三位数字开头。")
    code, dash, status, words = int(match[1]), match[2], match[3] or "", match[4] or ""
    if state.in_data:  # a dialogue may leave the final dot out with the message
        state.in_data = False
        state.waiting.append(".")
    verb = state.waiting[0] if state.waiting else "" if state.greeted else "connect"
    if dash == "-":
        return _one_of_several(verb, words)
    _advance(verb, code, state)
    said = GOOD.get(code) or CLASSES.get(code // 100, CLASSES[5])
    said += _why(verb, code, status)
    if code == 334:
        said += ASKED.get(words.strip(), _NOTHING)
    if verb == "EHLO" and words and code == 250:
        said += _extension(words)
    return said + _follows(verb, code)


def _why(verb: str, code: int, status: str) -> Note:
    """What a refusal is about: by its enhanced code, or where that says too little by the other."""
    vague = not status or status.endswith(".0.0") or code == 530
    if not vague or (verb == "AUTH" and status == "5.0.0"):  # a login that was given up
        return enhanced(status)
    return SUBJECTS.get(code, _NOTHING)


def _one_of_several(verb: str, words: str) -> Note:
    more = Both("More lines follow.", "后面还有。")
    known = _extension(words) if verb == "EHLO" else _NOTHING
    return known if known.en else more


def _extension(words: str) -> Note:
    name = words.partition(" ")[0].partition("=")[0].upper()
    return EXTENSIONS.get(name, _NOTHING)


def _advance(verb: str, code: int, state: State) -> None:
    """Take a reply's command off the list, and see what the reply opens."""
    if code == 421 or not state.greeted:
        state.greeted = True
        if verb == "connect":
            return
    if state.waiting and not (verb == "AUTH" and code == 334):
        state.waiting.popleft()
    state.answers_334 = code == 334
    state.in_data = state.in_data or (verb == "DATA" and code == 354)
    if verb == "STARTTLS" and code == 220:
        state.waiting.clear()


def _follows(verb: str, code: int) -> Note:
    """What state the session is in now."""
    if code == 421:
        return Both("The server closes the connection.", "服务器关闭连接。")
    if verb == "STARTTLS" and code == 220:
        return _TLS
    if code == 334:
        return Both("The client's next line answers this.", "客户端的下一行是对它的回答。")
    good = NEXT.get(verb, _NOTHING)
    if code < 400:
        return good
    if code == 503:
        return Both("Nothing has changed by it.", "会话状态没有改变。")
    if verb == "EHLO" and code in (500, 502):
        return Both("The client may try HELO.", "客户端可以改用 HELO。")
    return REFUSED.get(verb, _NOTHING)
