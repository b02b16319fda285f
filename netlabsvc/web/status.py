"""What a machine asks of the daemon: /metrics, /healthz and /readyz, for Prometheus and its like.

    /metrics   figures, in Prometheus' text format, or in OpenMetrics where Accept asks for it
    /healthz   200 while the reactor turns
    /readyz    200 when everything listens, else 503 with the reason

Everything is gathered in the reactor's thread when somebody asks, from plain integers. Nothing is
registered with prometheus_client's registry for the whole process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from twisted.internet.address import UNIXAddress
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from netlabsvc.metrics import Metric
from netlabsvc.reach import may_read
from netlabsvc.web import pages
from netlabsvc.web.answer import answer, answer_error

_FORBIDDEN = (
    'only this machine may read this; status = "all" in [web] of the configuration opens it to all'
)


def resources(
    status: str, gather: Callable[[], Iterable[Metric]], unready: Callable[[], str | None]
) -> dict[bytes, IResource]:
    """What is mounted on the site, by name.

    :param status: the key of that name: ``loopback``, ``all`` or ``off``.
    :param gather: all metrics there are at the time of the call.
    :param unready: why the daemon is not ready to serve, if so.
    """
    if status == "off":
        return {}

    def ready() -> tuple[int, str]:
        why = unready()
        return (HTTPStatus.OK, "ready") if why is None else (HTTPStatus.SERVICE_UNAVAILABLE, why)

    return {
        b"metrics": Metrics(status, gather),
        b"healthz": Line(status, lambda: (HTTPStatus.OK, "ok")),
        b"readyz": Line(status, ready),
    }


class _Leaf(Resource):
    """A resource without children, for those who may read it. HEAD comes with GET."""

    isLeaf = True
    allowedMethods = (b"GET", b"HEAD")

    def __init__(self, status: str) -> None:
        super().__init__()
        self._status = status

    def render_GET(self, request: Request) -> int:
        if request.postpath:
            return answer_error(request, HTTPStatus.NOT_FOUND, "There is nothing below this.")
        request.setHeader(b"Cache-Control", b"no-store")
        peer = request.getClientAddress()
        host = None if isinstance(peer, UNIXAddress) else getattr(peer, "host", "")
        if not may_read(self._status, host):
            return _answer_line(request, HTTPStatus.FORBIDDEN, _FORBIDDEN)
        return self.reply(request)

    def reply(self, request: Request) -> int:
        """Answer one who may read it."""
        raise NotImplementedError


class Line(_Leaf):
    """A status and a line of text."""

    def __init__(self, status: str, say: Callable[[], tuple[int, str]]) -> None:
        super().__init__(status)
        self._say = say

    def reply(self, request: Request) -> int:
        return _answer_line(request, *self._say())


class Metrics(_Leaf):
    """All figures there are."""

    def __init__(self, status: str, gather: Callable[[], Iterable[Metric]]) -> None:
        super().__init__(status)
        self._registry = CollectorRegistry()
        self._registry.register(_Rooms(gather))

    def reply(self, request: Request) -> int:
        # prometheus_client's choose_encoder raises where the version in Accept is no number, and
        # promises whatever version it is asked for.
        encode: Callable[[CollectorRegistry], bytes] = generate_latest
        kind = CONTENT_TYPE_PLAIN_0_0_4
        if _wants_openmetrics(request):
            encode, kind = openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
        request.setHeader(b"Content-Type", kind.encode("ascii"))
        request.setHeader(b"Vary", b"Accept")
        return answer(request, encode(self._registry))


class _Rooms(Collector):
    """The house's metrics as prometheus_client wants them."""

    def __init__(self, gather: Callable[[], Iterable[Metric]]) -> None:
        self._gather = gather

    def describe(self) -> Iterable[Family]:
        """Nothing: which metrics there are is known when they are asked for."""
        return ()

    def collect(self) -> Iterator[Family]:
        for metric in self._gather():
            family = Family(metric.name.removesuffix("_total"), metric.help, metric.kind)
            for sample in metric.samples:
                family.add_sample(metric.name + sample.suffix, dict(sample.labels), sample.value)
            yield family


def _wants_openmetrics(request: Request) -> bool:
    for header in request.requestHeaders.getRawHeaders(b"Accept", []):
        for offer in header.split(b","):
            kind, *parameters = (part.strip().lower() for part in offer.split(b";"))
            if kind == b"application/openmetrics-text" and b"q=0" not in parameters:
                return True
    return False


def _answer_line(request: Request, status: int, line: str) -> int:
    request.setResponseCode(status, pages.phrase(status).encode("ascii"))
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return answer(request, f"{line}\n".encode())
