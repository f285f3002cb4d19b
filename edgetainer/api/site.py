"""What stands before the routes: bounded bodies, one known Host, safe headers.

`twisted.web` buffers a whole body before anybody sees the request, takes the
last of two Host headers, and lets an absolute request line contradict them.
This gate answers such requests itself, so that nothing behind it has to doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import combinedLogFormatter, datetimeToLogString
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import Request, Site
from zope.interface import implementer

from edgetainer.api.answer import problem
from edgetainer.api.route import Routes
from edgetainer.api.schemas import BODY_LIMIT
from edgetainer.domain.naming import parse_authority
from edgetainer.errors import EdgetainerError

# Seconds without a byte from a client that owes us a request.
IDLE_S = 60
# Bytes thrown away of a body that is too large, so that its sender gets to read
# why; who sends more than this is cut off.
DISCARD_LIMIT = 8 * BODY_LIMIT

_METHOD = re.compile(rb"[A-Z]{1,16}")

# Set on every answer to browsers; a resource may set its own instead.
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Terminals set inline styles; nothing needs inline scripts.
    "content-security-policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class BoundedRequest(Request):
    """A request whose body stops growing at `limit` bytes; then `too_large` is set."""

    limit = BODY_LIMIT
    too_large = False
    _received = 0

    def gotLength(self, length: int | None) -> None:
        if length is not None and length > self.limit:
            self.too_large = True
        # A length that is a promise of too much is not believed.
        super().gotLength(length if length is None or length <= self.limit else 0)

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self.limit:
            self.too_large = True
        if not self.too_large:
            super().handleContentChunk(data)
        elif self._received > DISCARD_LIMIT:
            abort = getattr(self.channel, "forceAbortClient", None) or self.loseConnection
            abort()


@implementer(IResource)
class Answer:
    """A resource that is a problem document."""

    isLeaf = True

    def __init__(self, error: EdgetainerError) -> None:
        self._error = error

    def render(self, request: IRequest) -> bytes:
        return problem(request, Failure(self._error))

    def getChildWithDefault(self, name: bytes, request: IRequest) -> IResource:
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        raise NotImplementedError("an answer has no children")


class Gate(Resource):
    """The root of a site: checks the request, then gives it to the one it is for.

    :param routes: serves `/api/…`.
    :param authorities: `host` or `host:port` values that are ours; None checks
        only that there is exactly one well-formed Host (the tunnel's listener).
    :param children: other first path segments (`b"ws"`).
    :param fallback: everything else (the web UI); None answers 404.
    :param prefix: only `/api` paths beginning with this are served.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        authorities: Iterable[str] | None,
        children: Mapping[bytes, IResource] | None = None,
        fallback: IResource | None = None,
        prefix: bytes = b"/api/",
    ) -> None:
        super().__init__()
        self._api = routes.klein.resource()
        self._authorities = None if authorities is None else frozenset(authorities)
        self._prefix = prefix
        self._fallback = fallback
        for name, child in (children or {}).items():
            self.putChild(name, child)

    def getChildWithDefault(self, path: bytes, request: Any) -> IResource:
        if self._authorities is None:
            # A device is no browser, and may pay for each byte. (RFC 9110 section 6.6.1
            # wants a Date for caches, of which there are none in the tunnel.)
            for name in (b"server", b"date"):
                request.responseHeaders.removeHeader(name)
        else:
            for name, value in HEADERS.items():
                request.setHeader(name, value)
        try:
            self._check(request)
        except EdgetainerError as error:
            return Answer(error)
        if request.path.startswith(self._prefix):
            # Klein reads the whole path from postpath.
            request.postpath.insert(0, request.prepath.pop())
            return self._api
        if path in self.children:
            return self.children[path]
        if self._fallback is None or request.path.startswith(b"/api/") or path == b"api":
            return Answer(EdgetainerError("not_found", "There is nothing at this address."))
        request.postpath.insert(0, request.prepath.pop())
        return getChildForRequest(self._fallback, request)

    def _check(self, request: Any) -> None:
        if _METHOD.fullmatch(request.method) is None:
            raise EdgetainerError("invalid_request", "The method is not one of HTTP's.")
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) != 1:
            raise EdgetainerError("invalid_request", "Send exactly one Host header.")
        if not request.uri.startswith(b"/"):
            raise EdgetainerError("invalid_request", "Send the path only in the request line.")
        try:
            request.path.decode("utf-8")
            b"/".join(request.postpath + request.prepath).decode("utf-8")
            authority = parse_authority(hosts[0].decode("ascii"))
        except UnicodeDecodeError as error:
            raise EdgetainerError("invalid_request", "The address is not UTF-8.") from error
        if authority is None:
            raise EdgetainerError("invalid_request", "The Host header is malformed.")
        if self._authorities is not None:
            host, port = authority
            if (host if port in (None, 443) else f"{host}:{port}") not in self._authorities:
                raise EdgetainerError("misdirected", f"{host} is not the console's address.")


def authority(host: str, port: int) -> str:
    """How a Host header names `host` at an HTTPS port, as `Gate` compares it."""
    return host.lower() if port == 443 else f"{host.lower()}:{port}"


def _log_line(timestamp: str, request: Any) -> str:
    # What twisted.web takes for the date is read off the reactor's clock, which
    # counts from whenever the machine was started.
    return combinedLogFormatter(datetimeToLogString(), request)


def make_site(root: IResource, *, reactor: IReactorTime) -> Site:
    """A `twisted.web` Site with this module's bounds, which tells no traceback."""
    site = Site(
        root,
        requestFactory=BoundedRequest,
        timeout=IDLE_S,
        logFormatter=_log_line,
        reactor=reactor,
        # Form bodies are never read; parsing them would be work for strangers.
        parsePOSTFormSubmission=False,
    )
    site.displayTracebacks = False
    return site
