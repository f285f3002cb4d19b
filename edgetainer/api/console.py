"""The console's address: API, live sockets and web UI behind one door.

What comes in here has passed TLS and HTTP parsing and nothing else. Requests for
another host are refused before any of our code routes them, since Twisted takes
the last of two Host fields and does not compare an absolute address with Host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from edgetainer.errors import EdgetainerError

# What browsers are told about every answer. Mantine and xterm.js set styles from
# scripts, hence 'unsafe-inline' for styles and for nothing else.
SECURITY_HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
        b"manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
        b"frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}
_ONE_YEAR_S = 31_536_000


class Console(Resource):
    """The root of the console's Site.

    :param api: the resource of the REST API; it sees whole paths (`/api/...`).
    :param sockets: the WebSocket resources by path, such as `ws/term`.
    :param pages: what answers everything else.
    :param host: the only Host that is answered, as `name` or `name:port`.
    :param strict_transport: tell browsers to use nothing but HTTPS for this host; not
        for a self-issued certificate, where that would lock people out of other
        servers on `localhost`.
    """

    def __init__(
        self,
        *,
        api: IResource,
        sockets: Mapping[str, IResource],
        pages: IResource,
        host: str,
        strict_transport: bool,
    ) -> None:
        super().__init__()
        self._api = api
        self._sockets = {tuple(path.encode().split(b"/")): it for path, it in sockets.items()}
        self._pages = pages
        self._host = host.encode()
        self._headers = dict(SECURITY_HEADERS)
        if strict_transport:
            self._headers[b"strict-transport-security"] = b"max-age=%d" % _ONE_YEAR_S

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        """Find who answers, with the whole path left for them to read."""
        for name, value in self._headers.items():
            request.setHeader(name, value)
        # Twisted has taken the first segment off; all three want the whole path.
        request.prepath.pop()
        request.postpath.insert(0, path)
        refusal = self._refusal(request)
        if refusal is not None:
            return _Problem(refusal)
        if path == b"api":
            return self._api
        socket = self._sockets.get(tuple(request.postpath))
        return self._pages if socket is None else socket

    def _refusal(self, request: IRequest) -> EdgetainerError | None:
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) != 1:
            return EdgetainerError("invalid_request", "A request names its host exactly once.")
        if not request.uri.startswith(b"/") and request.uri != b"*":
            return EdgetainerError("invalid_request", "The request's target must be a path.")
        if hosts[0].lower() != self._host:
            return EdgetainerError(
                "misdirected", f"This is {self._host.decode()}; the request is for another host."
            )
        return None


class _Problem(Resource):
    """Answers every method with one error."""

    isLeaf = True

    def __init__(self, error: EdgetainerError) -> None:
        super().__init__()
        self._error = error

    def render(self, request: IRequest) -> bytes:
        request.setResponseCode(self._error.status)
        request.setHeader(b"content-type", b"application/problem+json")
        return json.dumps(self._error.problem()).encode()
