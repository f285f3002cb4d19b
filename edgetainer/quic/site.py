"""Requests of an HTTP/3 connection, run through an ordinary twisted.web Site.

`SiteChannel` plays the part that `HTTPChannel` plays for HTTP/1.1: one of it
stands behind each request, which finds the connection (and so the client's
identity) at `request.channel.connection`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IProducer
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.http_headers import Headers
from twisted.web.server import Site

from edgetainer.quic.carriers import twisted_address
from edgetainer.quic.codes import H3_NO_ERROR, H3_REQUEST_CANCELLED
from edgetainer.quic.errors import StreamReset, failure
from edgetainer.quic.exchange import Header, plain_headers
from edgetainer.quic.outflow import Outflow

if TYPE_CHECKING:
    from edgetainer.quic.http3 import Http3Connection

MAX_BODY = 16 * 1024 * 1024
"""Bytes of a request's body, which twisted.web takes whole before it renders."""

MAX_REQUESTS = 64
"""Requests of one connection that are received or answered at the same time;
more get 503. With MAX_BODY it bounds what one client can make us store."""

_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_TARGET = re.compile(rb"/[!-~]{0,8191}|\*")
_AUTHORITY = re.compile(rb"[A-Za-z0-9.\-_:\[\]]{1,255}")


class SiteChannel:
    """One request and its response, between HTTP/3 and twisted.web.

    :param connection: where the request came from.
    :param stream_id: its stream.
    :param site: whose `requestFactory` makes the request object.
    """

    def __init__(self, connection: Http3Connection, stream_id: int, site: Site) -> None:
        self.connection = connection
        self.site = site
        self.factory = site
        self.transport = self
        self._stream_id = stream_id
        # Any: twisted.web's Request has no types for what its channel calls.
        self._request: Any = None
        self._outflow = Outflow(
            connection.driver, stream_id, failed=lambda reason: self.abortConnection()
        )
        self._received = 0
        self._method = b""
        self._target = b""
        self._rendering = False

    # Exchange: the request arrives.

    def headers_received(self, headers: list[Header], ended: bool) -> None:
        """The request's head, or trailers, which twisted.web has no place for."""
        if self._request is None:
            fault = self._begin(headers)
            if fault:
                self._answer(*fault)
                return
        if ended:
            self._render()

    def body_received(self, data: bytes, ended: bool) -> None:
        """A piece of the request's body."""
        if self._request is None or self._rendering:
            return
        self._received += len(data)
        if self._received > self.connection.max_body:
            request, self._request = self._request, None
            request.connectionLost(failure(StreamReset(H3_NO_ERROR)))
            self._answer(413, b"The body is too large\n")
            return
        self._request.handleContentChunk(data)
        if ended:
            self._render()

    def reset_received(self, code: int) -> None:
        """The client takes its request back."""
        self.connection_lost(failure(StreamReset(code)))
        self.connection.drop_stream(self._stream_id, H3_REQUEST_CANCELLED)

    def stop_received(self) -> None:
        """The client wants no response any more."""
        self.reset_received(H3_REQUEST_CANCELLED)

    def connection_lost(self, reason: Failure) -> None:
        """Nobody is there to answer."""
        self._outflow.stop()
        request, self._request = self._request, None
        self.connection.request_done(self._stream_id)
        if request is not None:
            request.connectionLost(reason)

    def _begin(self, headers: list[Header]) -> tuple[int, bytes] | None:
        """Make the request object; or return the status and words of a refusal."""
        pseudo = {name: value for name, value in headers if name.startswith(b":")}
        method, target = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
        authority = pseudo.get(b":authority", b"")
        hosts = {value for name, value in headers if name == b"host"}
        if not _METHOD.fullmatch(method) or not _TARGET.fullmatch(target):
            return 400, b"The request line is not acceptable\n"
        if not _AUTHORITY.fullmatch(authority) or hosts - {authority}:
            return 400, b"The authority is not acceptable\n"
        if method == b"CONNECT":
            return 501, b"No proxy here\n"
        if self.connection.active_requests() > MAX_REQUESTS:
            return 503, b"Too many requests at once\n"
        length = dict(headers).get(b"content-length")
        if length is not None and int(length) > self.connection.max_body:
            return 413, b"The body is too large\n"
        request: Any = cast(Any, self.site).requestFactory(self)
        request.requestHeaders = _request_headers(headers, authority)
        request.parseCookies()
        request.gotLength(None if length is None else int(length))
        self._method, self._target = method, target
        self._request = request
        return None

    def _render(self) -> None:
        if self._request is not None and not self._rendering:
            self._rendering = True
            # Any version but HTTP/1.1: twisted.web frames chunks itself there.
            self._request.requestReceived(self._method, self._target, b"HTTP/3")

    def _answer(self, status: int, body: bytes) -> None:
        self.connection.respond(self._stream_id, status, [(b"content-type", b"text/plain")], body)
        self.connection.request_done(self._stream_id)
        self.connection.drop_stream(self._stream_id, H3_NO_ERROR, writing=False)

    # What twisted.web's Request asks of its channel.

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Send the response's head."""
        pairs = plain_headers(
            (name, value) for name, values in headers.getAllRawHeaders() for value in values
        )
        status = b"%d" % int(code)
        self.connection.send_headers(self._stream_id, [(b":status", status), *pairs])

    def write(self, data: bytes) -> None:
        """Send a piece of the response's body."""
        if data:
            self.connection.send_body(self._stream_id, bytes(data), ended=False)
            self._outflow.written()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def requestDone(self, request: Request) -> None:
        """The response is whole."""
        self._request = None
        self.connection.send_body(self._stream_id, b"", ended=True)
        self.connection.request_done(self._stream_id)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Let a producer write the response, paused while too much is unsent."""
        if self._request is None:
            producer.stopProducing()
            return
        self._outflow.register(producer, streaming)

    def unregisterProducer(self) -> None:
        """The producer is done."""
        self._outflow.unregister()

    def loseConnection(self) -> None:
        """Give this one request up; the connection has others."""
        self.abortConnection()

    def abortConnection(self) -> None:
        """Give this one request up."""
        if self._request is not None:
            self.connection_lost(failure(StreamReset(H3_REQUEST_CANCELLED)))
            self.connection.drop_stream(self._stream_id, H3_REQUEST_CANCELLED)

    def _respondToBadRequestAndDisconnect(self) -> None:
        # twisted.web calls this when it cannot read a form.
        self._request = None
        self._answer(400, b"The body cannot be read\n")

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The client's address, as a TCP address, which is what resources look for."""
        return twisted_address("TCP", self.connection.peer)

    def getHost(self) -> IPv4Address | IPv6Address:
        """Our own address."""
        return twisted_address("TCP", self.connection.driver.carrier.address)

    def isSecure(self) -> bool:
        """QUIC is always encrypted."""
        return True


def _request_headers(headers: list[Header], authority: bytes) -> Headers:
    """Headers as HTTP/1.1 code expects them."""
    result = Headers()
    result.addRawHeader(b"host", authority)
    cookies = []
    for name, value in headers:
        if name == b"cookie":
            cookies.append(value)
        elif not name.startswith(b":") and name != b"host":
            result.addRawHeader(name, value)
    if cookies:
        # They may come in crumbs (RFC 9114 section 4.2.1).
        result.addRawHeader(b"cookie", b"; ".join(cookies))
    return result
