"""One HTTP/3 connection: requests, WebTransport sessions and their streams.

`Http3Connection` gives each event of the connection to whoever owns the stream
it belongs to: an *exchange* (one HTTP message, read as frames by `framing`) or
an *incoming* (a WebTransport stream, whose bytes are nobody's business here).
It keeps the books on receive credit for streams that are read as frames;
transports keep theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aioquic.h3.connection import stream_is_request_response
from aioquic.h3.events import DataReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic import events
from aioquic.quic.connection import stream_is_unidirectional
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Site

from edgetainer.quic.carriers import Address, Carrier
from edgetainer.quic.codes import H3_NO_ERROR, H3_STREAM_CREATION_ERROR, SESSION_GONE
from edgetainer.quic.driver import Driver
from edgetainer.quic.errors import SessionRefused, StreamLimit, failure
from edgetainer.quic.exchange import Exchange, Header, Incoming
from edgetainer.quic.framing import Framing
from edgetainer.quic.leftovers import NothingHere, SessionArriving, Sink
from edgetainer.quic.opening import SessionOpening, SessionRequest, session_head
from edgetainer.quic.path_model import PathModel
from edgetainer.quic.qlog import Recording
from edgetainer.quic.requests import ClientExchange, Response, request_head
from edgetainer.quic.site import MAX_BODY, SiteChannel
from edgetainer.quic.statistics import Statistics
from edgetainer.quic.webtransport import WebTransportSession

MAX_WAITING = 256
"""Requests and sessions of a client that wait for their answers at once; those
that the server does not admit yet wait in memory."""

RESPONSE_LIMIT = 1024 * 1024
"""Bytes of a response's body that `request` accepts unless told otherwise."""


class Http3Connection:
    """HTTP/3 on one QUIC connection, at either end.

    Made by `endpoint.listen` and `endpoint.connect`.

    :param driver: the connection's driver; this becomes its handler.
    :param authority: clients: the `:authority` of requests.
    :param site: servers: what answers requests; None answers 404 to all.
    :param max_body: servers: the largest request body, in bytes.
    """

    _log = Logger()

    def __init__(
        self,
        driver: Driver,
        *,
        authority: str = "",
        site: Site | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self.driver = driver
        self.max_body = max_body
        self.on_session: Callable[[SessionRequest], None] | None = None
        self.on_handshake: Callable[[], None] | None = None
        self.on_ready: Callable[[], None] | None = None
        self._authority = authority.encode("ascii")
        self._site = site
        self._is_client = driver.quic.configuration.is_client
        self._framing: Framing | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._incoming: dict[int, Incoming] = {}
        self._sessions: dict[int, WebTransportSession] = {}
        self._uncredited: dict[int, int] = {}
        self._requests: set[int] = set()
        self._hearing: list[Deferred[None]] = []
        driver.handler = self

    # For the application.

    @property
    def identity(self) -> object | None:
        """Servers: what `ServerTls.verify_client` returned for this client."""
        return self.driver.quic.identity

    @property
    def peer(self) -> Address:
        """Host and port that the peer has now; never a proof of who it is."""
        return self.driver.peer

    @property
    def last_received(self) -> float:
        """`reactor.seconds()` of the last authenticated packet."""
        return self.driver.quic.last_received or 0.0

    def statistics(self) -> Statistics:
        """How the connection fares at this moment."""
        return self.driver.quic.statistics()

    def start_recording(self) -> Recording:
        """Record the packets from now on; see `qlog`."""
        quic = self.driver.quic
        recording = Recording(
            is_client=self._is_client,
            connection_id=quic.original_destination_connection_id,
            clock=self.driver.reactor.seconds,
        )
        quic.start_recording(recording)
        return recording

    def stop_recording(self) -> None:
        """Record no more."""
        self.driver.quic.stop_recording()

    @property
    def last_sent(self) -> float:
        """`reactor.seconds()` when something was sent last."""
        return self.driver.quic.last_sent or 0.0

    def take_silence(self) -> float:
        """See `statistics.Counting.take_silence`."""
        return self.driver.quic.take_silence()

    def notify_heard(self) -> Deferred[None]:
        """Fires soon after the next packet of the peer; any number may wait.

        It never fires when the connection ends first.
        """
        waiter: Deferred[None] = Deferred()
        self._hearing.append(waiter)
        self.driver.quic.on_heard = self._heard
        return waiter

    def _heard(self) -> None:
        self.driver.quic.on_heard = None
        # In a turn of its own: now a packet is being read.
        self.driver.reactor.callLater(0, self._tell_heard)

    def _tell_heard(self) -> None:
        waiters, self._hearing = self._hearing, []
        for waiter in waiters:
            waiter.callback(None)

    @property
    def carrier(self) -> Carrier:
        """What carries the datagrams now."""
        return self.driver.carrier

    @property
    def unanswered_probes(self) -> int:
        """Probes since the peer last acknowledged anything (RFC 9002 section 6.2)."""
        return self.driver.quic.unanswered_probes

    @property
    def path_model(self) -> PathModel | None:
        """What was learned of the way to the peer; None before enough was sent."""
        controller = self.driver.quic.controller
        return None if controller is None else controller.model

    def start_from(self, model: PathModel) -> None:
        """Send as an earlier connection on this path could, carefully."""
        controller = self.driver.quic.controller
        if controller is not None:
            controller.start_from(model)

    def ping(self) -> Deferred[None]:
        """Fires when the peer acknowledged a PING; fails when the connection ends."""
        return self.driver.ping()

    def migrate(self, carrier: Carrier | None = None, address: Address | None = None) -> None:
        """Clients: our address has changed, or the server is to be reached another way.

        With neither argument the local address behind the carrier has changed: the
        server is told from the new one at once, and again until it answers. With a
        carrier or an address the connection moves there as soon as the server has
        answered there, and stays where it is when there is no answer within 15 s.
        Requests, sessions and streams go on. Carriers that lead nowhere any more are
        closed, so a given one belongs to the connection from now on.

        :param carrier: must hand its datagrams to `datagram_received`.
        :param address: the server's; the present one when left out.
        """
        self.driver.migrate(carrier, address)

    def datagram_received(self, data: bytes, address: Address, carrier: Carrier) -> None:
        """One datagram from a carrier that was given to `migrate`."""
        self.driver.datagram_received(data, address, carrier)

    def batch_done(self) -> None:
        """The last of those that such a carrier had at once has been handed over."""
        self.driver.batch_done()

    def close(self, code: int = 0, reason: str = "") -> None:
        """Close the connection; `code` 0 means all is well."""
        self.driver.close(code or H3_NO_ERROR, reason)

    def notify_close(self) -> Deferred[None]:
        """Fires when the connection is over: None if cleanly, else `ConnectionClosed`."""
        return self.driver.notify_close()

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Sequence[Header] = (),
        body: bytes = b"",
        limit: int = RESPONSE_LIMIT,
    ) -> Deferred[Response]:
        """Send a request; fires with the whole response. Cancelling resets its stream.

        :param path: path and query.
        :param limit: the largest response body accepted, in bytes.
        """
        if self.driver.failure is not None or self._framing is None:
            return _failed(self.driver.failure)
        if len(self._exchanges) >= MAX_WAITING:
            return _failed(failure(StreamLimit("too many requests are waiting")))
        head = request_head(method, self._authority, path, headers, length=len(body))
        stream_id = self.driver.quic.get_next_available_stream_id()
        exchange = ClientExchange(self, stream_id, limit=limit)
        self._exchanges[stream_id] = exchange
        self._framing.send_headers(stream_id, head, end_stream=not body)
        if body:
            self._framing.send_data(stream_id, body, end_stream=True)
        self.driver.transmit_soon()
        return exchange.done

    def open_session(
        self, path: str, *, headers: Sequence[Header] = ()
    ) -> Deferred[WebTransportSession]:
        """Open a WebTransport session (RFC 9220); fails with `SessionRefused`."""
        if self.driver.failure is not None or self._framing is None:
            return _failed(self.driver.failure)
        if not self._framing.peer_speaks_webtransport():
            return _failed(failure(SessionRefused(501, b"the server does not speak WebTransport")))
        if not self.driver.quic.can_open_stream():
            return _failed(failure(StreamLimit("the peer admits no more streams now")))
        head = session_head(self._authority, path, headers)
        session_id = self.driver.quic.get_next_available_stream_id()
        session = WebTransportSession(self, session_id)
        opening = SessionOpening(session, session_id)
        self._sessions[session_id] = session
        self._exchanges[session_id] = opening
        self._framing.send_headers(session_id, head)
        self.driver.transmit_soon()
        return opening.done

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
        self._requests.discard(stream_id)
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
        self.on_session = None

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
            exchange = self._new_exchange(event)
        exchange.headers_received(event.headers, event.stream_ended)

    def _new_exchange(self, event: HeadersReceived) -> Exchange:
        headers = dict(event.headers)
        exchange: Exchange
        if headers.get(b":method") == b"CONNECT" and headers.get(b":protocol") == b"webtransport":
            exchange = SessionArriving(self, event.stream_id)
        elif self._site is not None:
            exchange = SiteChannel(self, event.stream_id, self._site)
            self._requests.add(event.stream_id)
        else:
            exchange = NothingHere(self, event.stream_id)
        self._exchanges[event.stream_id] = exchange
        return exchange

    def _adopt(
        self, framing: Framing, session_id: int, stream_id: int, payload: bytes, ended: bool
    ) -> None:
        """A stream turned out to belong to a WebTransport session."""
        framing.forget(stream_id)
        session = self._sessions.get(session_id)
        if session is None or stream_is_unidirectional(stream_id):
            self.driver.quic.consume(stream_id, len(payload), now=self.driver.reactor.seconds())
            self._incoming[stream_id] = Sink(self, stream_id)
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

    def session_requested(self, request: SessionRequest) -> None:
        """Servers: a client asks for a session."""
        if self.on_session is None:
            request.refuse(404, b"There are no sessions here\n")
        else:
            self.on_session(request)

    def active_requests(self) -> int:
        """Requests that are received or answered at this moment."""
        return len(self._requests)

    def request_done(self, stream_id: int) -> None:
        """A request was answered or is gone."""
        self._requests.discard(stream_id)

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
            self._incoming[stream_id] = Sink(self, stream_id)
            self.driver.quic.abandon(stream_id, code, reading=reading, writing=writing)
            self.driver.transmit_soon()


def _failed(reason: Failure | None) -> Deferred[Any]:
    waiter: Deferred[Any] = Deferred()
    waiter.errback(reason or failure(ConnectionError("the connection is not ready")))
    return waiter
