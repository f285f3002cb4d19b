"""WebTransport sessions over HTTP/3, in the form of draft 02.

A session is one extended CONNECT request (RFC 9220) whose stream stays open;
its other streams name it in their first bytes. Either end opens bidirectional
streams; unidirectional ones and datagrams are not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aioquic.buffer import encode_uint_var
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.quic.capsules import CapsuleReader, close_capsule
from edgetainer.quic.codes import H3_NO_ERROR, WEBTRANSPORT_APPLICATION_ERROR
from edgetainer.quic.errors import (
    ConnectionClosed,
    SessionClosed,
    StreamLimit,
    StreamReset,
    failure,
    tell_end,
)
from edgetainer.quic.exchange import Header
from edgetainer.quic.schedule import Priority
from edgetainer.quic.stream import QuicStreamTransport

if TYPE_CHECKING:
    from edgetainer.quic.http3 import Http3Connection

STREAM_HEADER = encode_uint_var(0x41)
"""Frame type WEBTRANSPORT_STREAM; the session's id follows it."""


class WebTransportSession:
    """One session, at either end.

    :param connection: the HTTP/3 connection that carries it.
    :param session_id: the id of its CONNECT stream.
    :param headers: what the peer sent with its request or its response.
    """

    _log = Logger()

    def __init__(self, connection: Http3Connection, session_id: int) -> None:
        self.connection = connection
        self.headers: tuple[Header, ...] = ()
        self.accept_streams: Callable[[], IProtocol] | None = None
        self._session_id = session_id
        self._streams: dict[QuicStreamTransport, None] = {}
        self._early: list[QuicStreamTransport] = []
        self._established = False
        self._over: Failure | None = None
        self._waiters: list[Deferred[None]] = []
        self._capsules = CapsuleReader()

    # For the application.

    def open_stream(self, protocol: IProtocol, *, priority: Priority = Priority.REQUEST) -> None:
        """Open a bidirectional stream and connect the protocol to it at once.

        :param priority: how urgent what this end writes is.
        :raises StreamLimit: when the peer's limit on open streams is reached.
        :raises ConnectionLost: when the session is over.
        """
        if self._over is not None:
            self._over.raiseException()
        driver = self.connection.driver
        if not driver.quic.can_open_stream():
            raise StreamLimit("the peer admits no more streams now")
        stream_id = driver.quic.get_next_available_stream_id()
        driver.quic.send_stream_data(stream_id, STREAM_HEADER + encode_uint_var(self._session_id))
        driver.quic.set_priority(stream_id, priority)
        driver.transmit_soon()
        self._new_transport(stream_id).attach(protocol)

    def close(self, code: int = 0, reason: str = "") -> None:
        """End the session: its streams are aborted and the peer is told.

        :param code: an error code of the application, 32 bits; 0 means all is well.
        :param reason: words for the peer, cut at 1,024 bytes.
        """
        if self._over is not None:
            return
        self.connection.framing.send_data(
            self._session_id, close_capsule(code, reason), end_stream=True
        )
        self._end(failure(ConnectionClosed(H3_NO_ERROR, reason, by_peer=False)))
        self._let_go()

    def notify_close(self) -> Deferred[None]:
        """Fires when the session is over: None if cleanly, else the reason."""
        waiter: Deferred[None] = Deferred()
        if self._over is None:
            self._waiters.append(waiter)
        else:
            tell_end(waiter, self._over)
        return waiter

    # For the connection.

    def established(self, headers: Sequence[Header]) -> None:
        """The handshake of the session is done; streams may come."""
        self.headers = tuple(headers)
        self._established = True

    def deliver_early(self) -> None:
        """Connect streams that overtook the response; called once the
        application had its turn to set `accept_streams`."""
        early, self._early = self._early, []
        for transport in early:
            self._accept(transport)

    def incoming(self, stream_id: int) -> QuicStreamTransport:
        """The peer opened a stream of this session."""
        transport = self._new_transport(stream_id)
        if self._established and not self._early:
            self._accept(transport)
        else:
            # It overtook the response that establishes the session. The limit
            # on open streams bounds how many wait, their windows what they hold.
            self._early.append(transport)
        return transport

    def _accept(self, transport: QuicStreamTransport) -> None:
        if self.accept_streams is None:
            transport.abortConnection()
            return
        try:
            protocol = self.accept_streams()
        except Exception:
            self._log.failure("a stream of the peer was not taken")
            transport.abortConnection()
        else:
            transport.attach(protocol)

    def _new_transport(self, stream_id: int) -> QuicStreamTransport:
        transport = QuicStreamTransport(self.connection.driver, stream_id, self._stream_ended)
        self._streams[transport] = None
        self.connection.take_stream(stream_id, transport)
        return transport

    def _stream_ended(self, transport: QuicStreamTransport) -> None:
        self._streams.pop(transport, None)

    def _end(self, reason: Failure) -> None:
        if self._over is not None:
            return
        self._over = reason
        self.connection.session_over(self._session_id)
        for transport in list(self._streams):
            transport.connection_lost(reason)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            tell_end(waiter, reason)

    def _let_go(self) -> None:
        # No STOP_SENDING: it could overtake the capsule and look like a failure.
        self.connection.drop_stream(self._session_id, H3_NO_ERROR, reading=False, writing=False)

    # Exchange: the CONNECT stream after the session was established.

    def headers_received(self, headers: list[Header], ended: bool) -> None:
        """Trailers mean nothing here; the end of the stream does."""
        if ended:
            self.body_received(b"", True)

    def body_received(self, data: bytes, ended: bool) -> None:
        """Capsules (RFC 9297 section 3.2), of which only the closing one matters."""
        if self._over is not None:
            return
        closing = self._capsules.feed(data)
        if closing is None and not ended:
            return
        if closing is None or closing[0] == 0:
            text = closing[1] if closing else ""
            reason: Exception = ConnectionClosed(H3_NO_ERROR, text, by_peer=True)
        else:
            reason = SessionClosed(*closing)
        self.connection.framing.send_data(self._session_id, b"", end_stream=True)
        self._end(failure(reason))
        self._let_go()

    def reset_received(self, code: int) -> None:
        """The peer dropped the session."""
        self._end(failure(StreamReset(code)))
        self.connection.drop_stream(self._session_id, H3_NO_ERROR)

    def stop_received(self) -> None:
        """The peer dropped the session."""
        self.reset_received(WEBTRANSPORT_APPLICATION_ERROR)

    def connection_lost(self, reason: Failure) -> None:
        """The connection is over, and the session with it."""
        self._end(reason)
