"""How a WebTransport session begins: an extended CONNECT, in draft 02's form.

The client asks and waits (`SessionOpening`); the server's application is asked
(`SessionRequest`). Once they agree, both ends have a `WebTransportSession`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edgetainer.quic.codes import H3_NO_ERROR, SESSION_GONE
from edgetainer.quic.errors import ConnectionClosed, SessionRefused, StreamReset, failure
from edgetainer.quic.exchange import Header, plain_headers
from edgetainer.quic.webtransport import WebTransportSession

if TYPE_CHECKING:
    from edgetainer.quic.http3 import Http3Connection

DRAFT = (b"sec-webtransport-http3-draft", b"draft02")

REFUSAL_BODY_LIMIT = 64 * 1024
"""Bytes kept of a refusal's body: it is a sentence for people."""


def session_head(authority: bytes, path: str, headers: Sequence[Header]) -> list[Header]:
    """The header block that asks for a session (RFC 9220)."""
    return [
        (b":method", b"CONNECT"),
        (b":protocol", b"webtransport"),
        (b":scheme", b"https"),
        (b":authority", authority),
        (b":path", path.encode("ascii")),
        (b"sec-webtransport-http3-draft02", b"1"),
        *plain_headers(headers),
    ]


class SessionOpening:
    """The client's side of a session that the server has not answered yet."""

    def __init__(self, session: WebTransportSession, session_id: int) -> None:
        self._session = session
        self._session_id = session_id
        self._refusal: int | None = None
        self._body = bytearray()
        self._fired = False
        self.done: Deferred[WebTransportSession] = Deferred(self._cancelled)

    def headers_received(self, headers: list[Header], ended: bool) -> None:
        """The server's answer."""
        status = dict(headers).get(b":status", b"")
        if self._refusal is None and status.startswith(b"2") and not ended:
            self._fired = True
            connection = self._session.connection
            connection.replace_exchange(self._session_id, self._session)
            self._session.established([pair for pair in headers if not pair[0].startswith(b":")])
            self.done.callback(self._session)
            self._session.deliver_early()
            return
        if self._refusal is None and not status.startswith(b"1"):
            self._refusal = int(status) if status else 0
        if ended:
            self._refused()

    def body_received(self, data: bytes, ended: bool) -> None:
        """The reason of a refusal."""
        self._body += data[: REFUSAL_BODY_LIMIT - len(self._body)]
        if ended:
            self._refused()

    def reset_received(self, code: int) -> None:
        """The server dropped the request."""
        self._fail(failure(StreamReset(code)))

    def stop_received(self) -> None:
        """The server wants nothing more from us; its answer may still come."""

    def connection_lost(self, reason: Failure) -> None:
        """No answer will come."""
        self._fail(reason)

    def _refused(self) -> None:
        self._fail(failure(SessionRefused(self._refusal or 0, bytes(self._body))))

    def _fail(self, reason: Failure) -> None:
        self._session.connection_lost(reason)
        self._session.connection.drop_stream(self._session_id, SESSION_GONE)
        if not self._fired:
            self._fired = True
            self.done.errback(reason)

    def _cancelled(self, _: Deferred[WebTransportSession]) -> None:
        self._fired = True
        self._fail(failure(ConnectionClosed(H3_NO_ERROR, "cancelled", by_peer=False)))


class SessionRequest:
    """A client asks for a session; answer with `accept` or `refuse`, now or later.

    :param path: the `:path` of the request, query included.
    :param headers: names in lower case, pseudo-headers left out.
    :param connection: the connection that it came on.
    """

    def __init__(
        self, connection: Http3Connection, session_id: int, path: str, headers: Sequence[Header]
    ) -> None:
        self.connection = connection
        self.path = path
        self.headers = tuple(headers)
        self._session_id = session_id
        self._answered = False

    def accept(self, headers: Sequence[Header] = ()) -> WebTransportSession:
        """Establish the session; `headers` go with the response.

        :raises RuntimeError: when the request was answered before.
        :raises ConnectionLost: when the connection or the request is gone.
        """
        self._answer()
        session = WebTransportSession(self.connection, self._session_id)
        self.connection.framing.send_headers(
            self._session_id, [(b":status", b"200"), DRAFT, *plain_headers(headers)]
        )
        self.connection.driver.transmit_soon()
        self.connection.begin_session(self._session_id, session)
        session.established(self.headers)
        return session

    def refuse(self, status: int, body: bytes = b"", headers: Sequence[Header] = ()) -> None:
        """Answer with another status, and a body that says why."""
        self._answer()
        self.connection.respond(self._session_id, status, plain_headers(headers), body)

    def _answer(self) -> None:
        if self._answered:
            raise RuntimeError("the session request was answered before")
        self._answered = True
        self.connection.check_answerable(self._session_id)
