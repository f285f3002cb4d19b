"""The streams of one HTTP/3 connection, and whom each of their events concerns.

Each stream belongs to an *exchange* (one HTTP message, read as frames by `framing`)
or to an *incoming* (a WebTransport stream, whose bytes are nobody's business here).
The books on receive credit are kept here for streams that are read as frames;
transports keep theirs.
"""

from __future__ import annotations

from collections.abc import Callable

from aioquic.h3.connection import stream_is_request_response
from aioquic.h3.events import DataReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic import events
from aioquic.quic.connection import stream_is_unidirectional
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.quic.codes import H3_NO_ERROR, H3_STREAM_CREATION_ERROR, SESSION_GONE
from edgetainer.quic.driver import Driver
from edgetainer.quic.exchange import Exchange, Header, Incoming
from edgetainer.quic.framing import Framing
from edgetainer.quic.leftovers import Sink
from edgetainer.quic.webtransport import WebTransportSession


class Multiplexer:
    """Gives each event to the owner of its stream; a part of `http3.Http3Connection`.

    :param driver: the connection's driver; this becomes its handler.

    :ivar on_handshake: called once the handshake is complete.
    :ivar on_ready: called once the peer's settings arrived.
    """

    _log = Logger()

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.on_handshake: Callable[[], None] | None = None
        self.on_ready: Callable[[], None] | None = None
        self._is_client = driver.quic.configuration.is_client
        self._framing: Framing | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._incoming: dict[int, Incoming] = {}
        self._sessions: dict[int, WebTransportSession] = {}
        self._uncredited: dict[int, int] = {}
        driver.handler = self

    def new_exchange(self, stream_id: int, headers: list[Header]) -> Exchange:
        """Servers: who answers the request that begins with these headers."""
        raise NotImplementedError

    # Handler: the events of the connection.

    def quic_event(self, event: events.QuicEvent) -> None:
        """One event of the connection; called by its driver."""
        if isinstance(event, events.StreamDataReceived):
            # First, and by the shortest way: nearly all events are these.
            incoming = self._incoming.get(event.stream_id)
            if incoming is not None:
                incoming.data_received(event.data, event.end_stream)
            elif self._framing is not None:
                self._data_received(self._framing, event)
        elif isinstance(event, events.HandshakeCompleted):
            # Not before: until now a server does not know who the client is.
            self._framing = Framing(self.driver.quic)
            if self.on_handshake is not None:
                self.on_handshake()
        elif self._framing is None:
            return
        elif isinstance(event, events.StreamReset):
            self._reset_received(self._framing, event)
        elif isinstance(event, events.StopSendingReceived):
            self._stop_received(self._framing, event)

    def stream_forgotten(self, stream_id: int) -> None:
        """A stream is finished on both sides; called by the driver."""
        self._incoming.pop(stream_id, None)
        self._exchanges.pop(stream_id, None)
        self._uncredited.pop(stream_id, None)
        if self._framing is not None:
            self._framing.forget(stream_id)

    def terminated(self, reason: Failure) -> None:
        """The connection is over; called by the driver."""
        receivers: list[Exchange | Incoming] = [*self._exchanges.values()]
        receivers += self._incoming.values()
        for receiver in receivers:
            try:
                receiver.connection_lost(reason)
            except Exception:
                # A request's own mistake; the others must hear of the end too.
                self._log.failure("the end of a connection was not taken well")
        for session in list(self._sessions.values()):
            session.connection_lost(reason)
        self._exchanges.clear()
        self._incoming.clear()

    def _data_received(self, framing: Framing, event: events.StreamDataReceived) -> None:
        stream_id, count = event.stream_id, len(event.data)
        had_settings = framing.settings_arrived()
        happenings = framing.handle_event(event)
        framing.check_bounds(stream_id)
        session_id = framing.webtransport_session(stream_id)
        if session_id is not None:
            payload = b"".join(
                h.data for h in happenings if isinstance(h, WebTransportStreamDataReceived)
            )
            count -= len(payload)
            self._credit(framing, stream_id, count)
            self._adopt(framing, session_id, stream_id, payload, event.end_stream)
            return
        self._credit(framing, stream_id, count)
        for happening in happenings:
            if stream_id in self._incoming:
                break  # It was given up over the one before.
            if isinstance(happening, HeadersReceived):
                self._headers_received(happening)
            elif isinstance(happening, DataReceived):
                exchange = self._exchanges.get(happening.stream_id)
                if exchange is not None:
                    exchange.body_received(happening.data, happening.stream_ended)
        if not had_settings and framing.settings_arrived() and self.on_ready is not None:
            self.on_ready()

    def _credit(self, framing: Framing, stream_id: int, count: int) -> None:
        """Consume what the framing took; not what it keeps until a frame is whole."""
        self._uncredited[stream_id] = self._uncredited.get(stream_id, 0) + count
        held = framing.held(stream_id)
        taken = self._uncredited.pop(stream_id) - held
        if held:
            self._uncredited[stream_id] = held
        if taken > 0:
            self.driver.quic.consume(stream_id, taken, now=self.driver.reactor.seconds())

    def _headers_received(self, event: HeadersReceived) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            if self._is_client or not stream_is_request_response(event.stream_id):
                self.driver.close(H3_STREAM_CREATION_ERROR, "unexpected stream")
                return
            exchange = self.new_exchange(event.stream_id, event.headers)
            self._exchanges[event.stream_id] = exchange
        exchange.headers_received(event.headers, event.stream_ended)

    def _adopt(
        self, framing: Framing, session_id: int, stream_id: int, payload: bytes, ended: bool
    ) -> None:
        """A stream turned out to belong to a WebTransport session."""
        framing.forget(stream_id)
        session = self._sessions.get(session_id)
        if session is None or stream_is_unidirectional(stream_id):
            self.driver.quic.consume(stream_id, len(payload), now=self.driver.reactor.seconds())
            self._incoming[stream_id] = Sink(self.driver, stream_id)
            self.driver.quic.abandon(stream_id, SESSION_GONE, reading=True, writing=True)
            self.driver.transmit_soon()
            return
        session.incoming(stream_id).data_received(payload, ended)

    def _reset_received(self, framing: Framing, event: events.StreamReset) -> None:
        receiver: Exchange | Incoming | None = self._incoming.get(event.stream_id)
        if receiver is None:
            framing.handle_event(event)
            self._credit(framing, event.stream_id, 0)
            receiver = self._exchanges.get(event.stream_id)
        if receiver is not None:
            receiver.reset_received(event.error_code)
        elif not stream_is_unidirectional(event.stream_id):
            # Nobody knew it yet, so nobody else closes our half.
            self.drop_stream(event.stream_id, H3_NO_ERROR)

    def _stop_received(self, framing: Framing, event: events.StopSendingReceived) -> None:
        receiver: Exchange | Incoming | None = self._incoming.get(event.stream_id)
        if receiver is None:
            framing.handle_event(event)
            receiver = self._exchanges.get(event.stream_id)
        if receiver is not None:
            receiver.stop_received()

    # For exchanges, sessions and transports.

    @property
    def framing(self) -> Framing:
        """The framing layer; there is one as soon as the handshake is complete."""
        assert self._framing is not None
        return self._framing

    def take_stream(self, stream_id: int, incoming: Incoming) -> None:
        """From now on this stream's bytes go to `incoming`."""
        self._incoming[stream_id] = incoming

    def begin_session(self, session_id: int, session: WebTransportSession) -> None:
        """Servers: a session was accepted."""
        self._sessions[session_id] = session
        self._exchanges[session_id] = session

    def replace_exchange(self, stream_id: int, exchange: Exchange) -> None:
        """What comes on this stream concerns somebody else from now on."""
        self._exchanges[stream_id] = exchange

    def session_over(self, session_id: int) -> None:
        """A session has ended; its late streams are turned away."""
        self._sessions.pop(session_id, None)

    def check_answerable(self, stream_id: int) -> None:
        """Raise ConnectionLost when nobody waits for an answer on this stream."""
        if self.driver.failure is not None:
            self.driver.failure.raiseException()
        if stream_id not in self._exchanges or not self.driver.quic.can_send(stream_id):
            raise ConnectionError("the request is gone")

    def send_headers(self, stream_id: int, headers: list[Header]) -> None:
        """Send a header block, unless nobody reads it any more."""
        if self.driver.failure is None and self.driver.quic.can_send(stream_id):
            self.framing.send_headers(stream_id, headers)
            self.driver.transmit_soon()

    def send_body(self, stream_id: int, data: bytes, *, ended: bool) -> None:
        """Send a piece of a body, unless nobody reads it any more."""
        if self.driver.failure is None and self.driver.quic.can_send(stream_id):
            self.framing.send_data(stream_id, data, end_stream=ended)
            self.driver.transmit_soon()

    def respond(self, stream_id: int, status: int, headers: list[Header], body: bytes) -> None:
        """Send a whole response."""
        length = (b"content-length", b"%d" % len(body))
        self.send_headers(stream_id, [(b":status", b"%d" % status), length, *headers])
        self.send_body(stream_id, body, ended=True)

    def drop_stream(
        self, stream_id: int, code: int, *, reading: bool = True, writing: bool = True
    ) -> None:
        """Swallow what still comes on a stream.

        :param reading: ask the peer to stop sending (STOP_SENDING).
        :param writing: take back what was not sent (RESET_STREAM).
        """
        self._exchanges.pop(stream_id, None)
        if self._framing is not None:
            self._framing.forget(stream_id)
        self._uncredited.pop(stream_id, None)
        if self.driver.quic.stream_is_open(stream_id):
            self._incoming[stream_id] = Sink(self.driver, stream_id)
            self.driver.quic.abandon(stream_id, code, reading=reading, writing=writing)
            self.driver.transmit_soon()
