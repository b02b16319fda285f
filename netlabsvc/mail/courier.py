"""Whoever has mails for a server: a connection that is made when it is needed, and kept.

`deliver` is for one mail, `Courier` for many. Neither tries again.
"""

from __future__ import annotations

from random import Random, SystemRandom
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import connectProtocol, wrapClientTLS
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from netlabsvc.mail.client import Client
from netlabsvc.mail.delivery import Ending, Outgoing, Progress, Result, Stage
from netlabsvc.mail.plan import Plan, TlsMode
from netlabsvc.mail.speaking import Pause, Watch


class Courier:
    """Sends mails to one server, one after the other, over one connection while it lasts."""

    def __init__(
        self,
        reactor: IReactorTime,
        endpoint: IStreamClientEndpoint,
        plan: Plan,
        *,
        watch: Watch | None = None,
        pause: Pause | None = None,
        random: Random | None = None,
        show_secrets: bool = False,
    ) -> None:
        """:param watch: is given each line of the dialogue, secrets taken out.
        :param pause: is asked before each command.
        :param random: makes the nonce of SCRAM.
        """
        implicit = plan.mode is TlsMode.IMPLICIT
        self._endpoint = wrapClientTLS(plan.tls, endpoint) if implicit else endpoint
        self._reactor = reactor
        self._plan = plan
        self._watch = watch
        self._pause = pause
        self._random = random or SystemRandom()
        self._show_secrets = show_secrets
        self._client: Client | None = None
        self._connecting: Deferred[Any] | None = None
        self._cut = ""

    async def send(self, outgoing: Outgoing) -> Result:
        """Send a mail, connecting first where there is no connection; it never fails otherwise.

        A mail that is given while another is on its way goes behind it, over the same connection;
        one whose turn does not come before that ends goes over the next.
        """
        result = None
        while result is None:
            if self._client is None or not self._client.usable:
                result = await self._begin(outgoing)
            else:
                result = await self._client.send(outgoing)
            if result is None and self._cut:
                result = Progress(outgoing).cannot(Ending.TRY_LATER, self._cut)
        return result

    async def _begin(self, outgoing: Outgoing) -> Result | None:
        """Connect, with the mail that is first."""
        self._client = client = self._new_client()
        result, deadlines = client.send(outgoing), self._plan.deadlines
        self._connecting = connecting = connectProtocol(self._endpoint, client)
        connect_s = min(deadlines.connect_s, deadlines.total_s)
        connecting.addTimeout(connect_s, self._reactor, _too_slow)
        try:
            await connecting
        except (DNSLookupError, ValueError) as error:  # ValueError: what cannot be a host name
            client.stage = Stage.CONNECT
            client.broken(Ending.NO_HOST, f"host not found: {error}")
        except ConnectError as error:
            cause = f"cannot connect: {error}".removesuffix(".")
            client.broken(Ending.UNAVAILABLE, cause)
        except (CancelledError, ConnectingCancelledError):
            pass  # by `cut`, which has said how it ended
        return await result

    @property
    def connected(self) -> bool:
        """Whether the next mail goes over a connection that is there already."""
        client = self._client
        return client is not None and bool(client.connected) and client.usable

    def cut(self, why: str) -> None:
        """End the connection now; the mails on their way get their results at once."""
        self._cut = why
        if self._client is not None:
            self._client.broken(Ending.TRY_LATER, why)
        if self._connecting is not None:
            self._connecting.cancel()

    async def close(self) -> None:
        """Say goodbye; at once when there is no connection."""
        client, self._client = self._client, None
        if client is not None and client.transport is not None:
            await client.close()

    def _new_client(self) -> Client:
        return Client(
            self._reactor,
            self._plan,
            self._random,
            self._watch,
            self._pause,
            show_secrets=self._show_secrets,
        )


async def deliver(
    reactor: IReactorTime,
    endpoint: IStreamClientEndpoint,
    outgoing: Outgoing,
    *,
    watch: Watch | None = None,
    **plan: Any,
) -> Result:
    """Connect, send the mail, say goodbye, and say what became of it; it never fails otherwise.

    :param watch: is given each line of the dialogue, secrets taken out.
    :param plan: how to talk, as for `Plan`.
    :raises ValueError: for a plan that is none.
    """
    courier = Courier(reactor, endpoint, Plan(**plan), watch=watch)
    result = await courier.send(outgoing)
    await courier.close()
    return result


def _too_slow(result: object, limit_s: float) -> None:
    raise TimeoutError(string=f"no answer within {limit_s:g} s")
