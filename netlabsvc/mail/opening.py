"""The beginning of a dialogue: from the greeting until mails can be sent.

    greeting -> EHLO [-> STARTTLS -> TLS handshake -> EHLO] [-> AUTH ...] -> `ready`
                  \\-> HELO, for a server that does not know EHLO

What was heard before TLS is forgotten with TLS (RFC 3207 4.2); where TLS must be, nothing goes on
without it. What ends a dialogue is told to `refused` and `no_session`, which `client` has.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.interfaces import IHandshakeListener, IReactorTime, ISSLTransport
from zope.interface import implementer

from netlabsvc.mail import tls
from netlabsvc.mail.address import is_loopback
from netlabsvc.mail.capabilities import Capabilities, parse
from netlabsvc.mail.credentials import BadChallenge, Login, NotLoggedIn
from netlabsvc.mail.delivery import Channel, Ending, Stage
from netlabsvc.mail.plan import Plan, TlsMode
from netlabsvc.mail.speaking import SUCCESS, Awaited, Pause, Speaker, Watch
from netlabsvc.mail.transcript import Transcript


@implementer(IHandshakeListener)
class Opening(Speaker):
    """Says who we are, agrees on TLS, and proves who we are; the names are the stock class's."""

    def __init__(
        self,
        reactor: IReactorTime,
        plan: Plan,
        random: Random,
        watch: Watch | None,
        pause: Pause | None,
        transcript: Transcript,
    ) -> None:
        super().__init__(reactor, plan.hello, plan.deadlines, watch, pause, transcript)
        self.plan = plan
        self.offers = Capabilities()
        self.channel = Channel()
        self._random = random
        self._login: Login | None = None

    def ready(self) -> None:
        """Mails can be sent."""
        raise NotImplementedError

    def refused(self, code: int, text: bytes) -> None:
        """A reply that is not the one hoped for."""
        raise NotImplementedError

    def no_session(self, ending: Ending, cause: str) -> None:
        """The server is there, and nothing can be sent through it."""
        raise NotImplementedError

    def passes(self, stage: Stage) -> bool:
        """Whether the dialogue goes on after a stage."""
        raise NotImplementedError

    def connectionMade(self) -> None:
        super().connectionMade()
        if self.plan.mode is TlsMode.IMPLICIT:
            self.reach(Stage.TLS)

    def sendError(self, exc: Any) -> None:
        """Where the stock class ends: with a reply, or without."""
        if exc.code > 0:
            self.refused(exc.code, exc.resp)
        else:
            self.no_smtp(str(exc))

    def esmtpState_ehlo(self, code: int, resp: bytes) -> None:
        if self.stage is not Stage.GREETING or self.passes(Stage.GREETING):
            super().esmtpState_ehlo(code, resp)

    def smtpState_helo(self, code: int, resp: bytes) -> None:
        """EHLO got no 2xx: a 5xx may be the answer of a server that knows HELO only."""
        if not 500 <= code < 600:
            self.refused(code, resp)
            return
        hello = Awaited(Stage.EHLO, SUCCESS, self._greeted, self.refused)
        self.ask(b"HELO " + self.identity, hello)

    def esmtpState_serverConfig(self, code: int, resp: bytes) -> None:
        self.offers = parse(resp)
        self._greeted(code, resp)

    def _greeted(self, code: int, text: bytes) -> None:
        if not self.passes(Stage.EHLO):
            return
        mode = self.plan.mode
        if self.channel.tls or mode in (TlsMode.OFF, TlsMode.IMPLICIT):
            self._log_in()
        elif "STARTTLS" in self.offers:
            starting = Awaited(Stage.STARTTLS, [220], self.esmtpState_starttls, self._no_tls)
            self.ask(b"STARTTLS", starting)
        elif mode is TlsMode.STARTTLS:
            self.no_session(Ending.UNAVAILABLE, "TLS failed: the server does not offer STARTTLS")
        else:
            self._log_in()

    def _no_tls(self, code: int, text: bytes) -> None:
        """STARTTLS was offered and is refused: whoever did this, nothing goes on in clear."""
        ending = Ending.TRY_LATER if 400 <= code < 500 else Ending.UNAVAILABLE
        self.no_session(ending, f"TLS failed: STARTTLS refused: {code} {self.shown(text)}")

    def esmtpState_starttls(self, code: int, resp: bytes) -> None:
        if self.unread():
            self.no_smtp("it spoke on in clear after its 220 to STARTTLS")
            return
        self.offers = Capabilities()  # RFC 3207 4.2: as if nothing had been said
        self.reach(Stage.TLS)
        try:
            self.transport.startTLS(self.plan.tls)
        except Exception as error:
            self.broken(Ending.UNAVAILABLE, f"TLS failed: {error}")

    def handshakeCompleted(self) -> None:
        """TLS holds, and the certificate, if it matters, is good."""
        self._tlsMode = ISSLTransport.providedBy(self.transport)
        self.channel = Channel(*tls.agreed(self.transport))
        self._transcript.tls = True
        self.show_note(f"({self.channel.tls}, {self.channel.cipher})")
        if self.plan.mode is TlsMode.IMPLICIT:
            self.reach(Stage.GREETING)
        elif self.passes(Stage.STARTTLS):
            self.esmtpState_ehlo(220, b"")

    def _log_in(self) -> None:
        credentials = self.plan.credentials
        if credentials is None:
            self.ready()
            return
        peer = getattr(self.transport.getPeer(), "host", "")
        private = bool(self.channel.tls) or is_loopback(peer)
        nonce = f"{self._random.getrandbits(144):036x}"
        offered = self.offers.mechanisms
        self._login = Login(credentials, offered, private=private, nonce=nonce)
        self._try_login(self._login.begin)

    def _try_login(self, line: Any, *arguments: Any) -> None:
        """Say the line that a step of the login gives, or end when it gives none."""
        assert self._login is not None
        try:
            said = line(*arguments)
        except NotLoggedIn as error:
            self.no_session(*_no_login(error))
            return
        self._transcript.secrets = self._login.secrets
        self.ask(said, Awaited(Stage.AUTH, [235, 334], self._auth_replied, self._auth_refused))

    def _auth_replied(self, code: int, text: bytes) -> None:
        assert self._login is not None
        if code == 334:
            self._try_login(self._login.challenged, text)
            return
        try:
            self._login.succeeded()
        except NotLoggedIn as error:
            self.no_session(*_no_login(error))
            return
        self.channel = Channel(self.channel.tls, self.channel.cipher, self._login.name)
        if self.passes(Stage.AUTH):
            self.ready()

    def given_up(self) -> tuple[Ending, str] | None:
        """Why the login was given up, where the server has not answered to that."""
        error = self._login and self._login.given_up
        return _no_login(error) if error else None

    def _auth_refused(self, code: int, text: bytes) -> None:
        assert self._login is not None
        if 500 <= code < 600:
            self._try_login(self._login.failed, code, self.shown(text))
        else:
            self.refused(code, text)


def _no_login(error: NotLoggedIn) -> tuple[Ending, str]:
    ending = Ending.PROTOCOL if isinstance(error, BadChallenge) else Ending.NO_AUTH
    return ending, f"AUTH failed: {error}"
