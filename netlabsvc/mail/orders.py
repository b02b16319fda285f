"""The commands of SMTP: what each needs, what it does to where a session stands, what it says.

`VERBS` is the table; HELP and the reply to an unknown command list it. A command that refuses
raises `Refused`; one that has nothing to say yet returns None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netlabsvc.mail import command
from netlabsvc.mail.command import Refused, Reply
from netlabsvc.mail.login import MECHANISMS, Cancelled, Login, Malformed
from netlabsvc.mail.standing import Check, Standing, StartTLS

MAX_RECIPIENTS = 100
#: The longest path there is (RFC 5321 4.5.3.1.3).
_MAX_PATH = 256


def obey(it: Standing, verb: str, argument: str) -> Reply | None:
    """Do what a command asks for.

    :raises Refused: says what is wrong.
    """
    if verb not in VERBS:
        raise Refused(500, "5.5.1", f"unknown command; known are {' '.join(VERBS)}")
    needs, do = VERBS[verb]
    if needs is _NOTHING and argument:
        raise Refused(501, "5.5.4", f"{verb} stands alone on its line")
    if needs and not argument:
        raise Refused(501, "5.5.4", f"write {verb} {needs}")
    return do(it, argument)


def _ehlo(it: Standing, name: str) -> Reply:
    welcome = _greet(it, name, esmtp=True)
    offers = ["8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"]
    if it.terms.starttls and not it.attempt.facts.tls:
        offers.append("STARTTLS")
    if mechanisms := _mechanisms(it):
        offers.append(f"AUTH {' '.join(mechanisms)}")
    return Reply(250, "", (welcome, f"SIZE {it.terms.max_size}", *offers))


def _helo(it: Standing, name: str) -> Reply:
    return Reply(250, "", (_greet(it, name, esmtp=False),))


def _greet(it: Standing, name: str, *, esmtp: bool) -> str:
    # Whose name it is does not matter: RFC 5321 4.1.4 forbids to refuse mail for that.
    if " " in name or not name.isascii():
        raise Refused(501, "", "a host name is ASCII without blanks")
    it.hello, it.esmtp = name, esmtp
    it.attempt.facts = replace(it.attempt.facts, hello=name, esmtp=esmtp)
    return f"{it.terms.hostname} greets you"


def _mail(it: Standing, argument: str) -> Reply:
    if not it.hello:
        raise Refused(503, "5.5.1", "EHLO or HELO comes before MAIL")
    path, parameters = command.sender(argument, it.terms.max_size, extended=it.esmtp)
    it.attempt.begin(path, parameters)
    if it.terms.login_required and not it.user:
        text = "authentication required; AUTH comes before MAIL"
        raise Refused(530, "5.7.0", text, "auth = required: nobody logged in")
    if refusal := it.conduct.at_mail(it.situation(path)):
        raise Refused(refusal.code, refusal.enhanced, refusal.text, refusal.rule)
    it.begun += 1
    return Reply(250, "2.1.0", ("sender ok",))


def _rcpt(it: Standing, argument: str) -> Reply:
    attempt = it.attempt
    if not attempt.open:
        raise Refused(503, "5.5.1", "MAIL comes before RCPT")
    path = argument[:_MAX_PATH]
    try:
        path = command.recipient(argument, smtputf8=attempt.parameters.smtputf8)
        if attempt.taken >= MAX_RECIPIENTS:
            text = f"at most {MAX_RECIPIENTS} recipients for one message"
            raise Refused(452, "4.5.3", text)
        if refusal := it.conduct.at_rcpt(it.situation(attempt.mail_from or "", path)):
            raise Refused(refusal.code, refusal.enhanced, refusal.text, refusal.rule)
        reply = Reply(250, "2.1.5", ("recipient ok",), it.conduct.manner(path))
    except Refused as refused:
        refused.reply = refused.reply._replace(manner=it.conduct.manner(path))
        attempt.answer(path, refused.reply)
        raise
    attempt.answer(path, reply)
    return reply


def _data(it: Standing, argument: str) -> Reply:
    if not it.attempt.taken:
        raise Refused(503, "5.5.1", "MAIL and RCPT come before DATA")
    it.receiving = True
    return Reply(354, "", ("go on; CR LF . CR LF ends the message",))


def _rset(it: Standing, argument: str) -> Reply:
    return Reply(250, "2.0.0", ("forgotten",))


def _noop(it: Standing, argument: str) -> Reply:
    return Reply(250, "2.0.0", ("ok",))


def _vrfy(it: Standing, argument: str) -> Reply:
    return Reply(252, "2.0.0", ("every mailbox is taken here; send and see",))


def _help(it: Standing, argument: str) -> Reply:
    return Reply(214, "2.0.0", ("commands: " + " ".join(VERBS), "RFC 5321 explains them"))


def _quit(it: Standing, argument: str) -> Reply:
    return Reply(221, "2.0.0", (f"{it.terms.hostname} says goodbye",))


def _starttls(it: Standing, argument: str) -> Reply:
    if it.attempt.facts.tls:
        raise Refused(503, "5.5.1", "TLS is on already")
    if not it.terms.starttls:
        raise Refused(502, "5.5.1", "there is no certificate here")
    it.next.append(StartTLS())
    return Reply(220, "2.0.0", ("go on with TLS",))


def _auth(it: Standing, argument: str) -> Reply | None:
    if not it.esmtp:
        raise Refused(503, "5.5.1", "EHLO comes before AUTH")
    if it.user:
        raise Refused(503, "5.5.1", "already logged in")
    if it.attempt.open:
        raise Refused(503, "5.5.1", "AUTH comes before MAIL")
    name, _, initial = argument.partition(" ")
    offered = _mechanisms(it)
    if name.upper() in MECHANISMS and name.upper() not in offered:
        if it.attempt.facts.tls or it.terms.private:
            raise Refused(504, "5.5.4", "a digest cannot be checked here; there is PLAIN, LOGIN")
        raise Refused(538, "5.7.11", f"{name.upper()} shows the password: STARTTLS comes first")
    if name.upper() not in offered:
        raise Refused(504, "5.5.4", f"no such mechanism; there is {', '.join(offered) or 'none'}")
    it.login = Login(name.upper(), it.terms.challenge)
    if not initial:
        return Reply(334, "", (it.login.challenge(),))
    return answer(it, initial.strip(" "))


def answer(it: Standing, word: str) -> Reply | None:
    """A line that answers a 334, or an initial response.

    :raises Refused: when it is not what the mechanism asks for.
    """
    assert it.login is not None
    try:
        it.login.answer(word)
    except Malformed as error:
        raise Refused(501, "5.5.2", str(error)) from None
    except Cancelled:
        raise Refused(501, "5.0.0", "cancelled, as asked") from None
    if it.login.claim is None:
        return Reply(334, "", (it.login.challenge(),))
    if it.terms.lookup:
        it.next.append(Check(it.login.claim))
        return None
    return logged_in(it)


def logged_in(it: Standing) -> Reply:
    """The claim of the login is right."""
    assert it.login is not None
    assert it.login.claim is not None
    claim, it.login, it.login_failed = it.login.claim, None, False
    it.user = claim.user
    it.attempt.facts = replace(
        it.attempt.facts, auth_mechanism=claim.mechanism, auth_user=claim.user
    )
    return Reply(235, "2.7.0", ("logged in",))


def _mechanisms(it: Standing) -> list[str]:
    """What AUTH offers: no password without TLS, and no digest that cannot be checked."""
    shows = it.attempt.facts.tls or it.terms.private
    plain = [name for name in MECHANISMS if name != "CRAM-MD5" and shows]
    return [*plain, *(["CRAM-MD5"] if not it.terms.lookup else [])]


_NOTHING = ""
_ANYTHING = None
#: Verb: what must stand behind it, and what it does.
VERBS: dict[str, tuple[str | None, Callable[[Standing, str], Reply | None]]] = {
    "EHLO": ("and your host's name", _ehlo),
    "HELO": ("and your host's name", _helo),
    "STARTTLS": (_NOTHING, _starttls),
    "AUTH": (f"and a mechanism: {', '.join(MECHANISMS)}", _auth),
    "MAIL": ("FROM:<name@domain>", _mail),
    "RCPT": ("TO:<name@domain>", _rcpt),
    "DATA": (_NOTHING, _data),
    "RSET": (_NOTHING, _rset),
    "NOOP": (_ANYTHING, _noop),
    "VRFY": ("and a name", _vrfy),
    "HELP": (_ANYTHING, _help),
    "QUIT": (_NOTHING, _quit),
}
