"""The client's side of one HTTP/3 request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edgetainer.quic.codes import H3_REQUEST_CANCELLED
from edgetainer.quic.errors import ResponseTooLarge, StreamReset, failure
from edgetainer.quic.exchange import Header, plain_headers

if TYPE_CHECKING:
    from edgetainer.quic.http3 import Http3Connection


@dataclass(frozen=True)
class Response:
    """A whole response.

    :param status: the HTTP status code.
    :param headers: names in lower case, in the order they came, pseudo-headers left out.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, or None; the name in lower case."""
        return next((value for key, value in self.headers if key == name), None)


def request_head(
    method: str, authority: bytes, path: str, headers: Sequence[Header], *, length: int
) -> list[Header]:
    """The header block of a request.

    :param path: path and query, ASCII.
    :param length: bytes of the body that follows; 0 for none.
    """
    fields = plain_headers(headers)
    if length and not any(name == b"content-length" for name, _ in fields):
        fields.append((b"content-length", b"%d" % length))
    return [
        (b":method", method.encode("ascii")),
        (b":scheme", b"https"),
        (b":authority", authority),
        (b":path", path.encode("ascii")),
        *fields,
    ]


class ClientExchange:
    """Collects one response.

    :param limit: the largest body accepted, in bytes.
    """

    def __init__(self, connection: Http3Connection, stream_id: int, *, limit: int) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._limit = limit
        self._status: int | None = None
        self._headers: tuple[Header, ...] = ()
        self._body = bytearray()
        self.done: Deferred[Response] = Deferred(self._cancelled)
        self._fired = False

    def headers_received(self, headers: list[Header], ended: bool) -> None:
        """The response's head, an interim response (ignored) or trailers (ignored)."""
        status = dict(headers).get(b":status")
        if status is not None and self._status is None and not status.startswith(b"1"):
            self._status = int(status)
            self._headers = tuple(pair for pair in headers if not pair[0].startswith(b":"))
        if ended:
            self._complete()

    def body_received(self, data: bytes, ended: bool) -> None:
        """A piece of the body."""
        if self._fired:
            return
        self._body += data
        if len(self._body) > self._limit:
            self._fail(
                failure(ResponseTooLarge(f"the response is larger than {self._limit} bytes"))
            )
            self._connection.drop_stream(self._stream_id, H3_REQUEST_CANCELLED)
        elif ended:
            self._complete()

    def reset_received(self, code: int) -> None:
        """The server gave up."""
        self._fail(failure(StreamReset(code)))
        self._connection.drop_stream(self._stream_id, H3_REQUEST_CANCELLED)

    def stop_received(self) -> None:
        """The server needs no more of the request's body; its response still comes."""

    def connection_lost(self, reason: Failure) -> None:
        """No response will come."""
        self._fail(reason)

    def _complete(self) -> None:
        if self._fired or self._status is None:
            return
        self._fired = True
        self.done.callback(Response(self._status, self._headers, bytes(self._body)))

    def _fail(self, reason: Failure) -> None:
        if not self._fired:
            self._fired = True
            self.done.errback(reason)

    def _cancelled(self, _: Deferred[Response]) -> None:
        self._fired = True
        self._connection.drop_stream(self._stream_id, H3_REQUEST_CANCELLED)
