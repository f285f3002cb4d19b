"""One HTTP/3 connection: what an application does with it.

Requests and WebTransport sessions begin here, and the questions about its health
are answered. Whom the events of its streams concern is `multiplexer`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import Site

from edgetainer.quic.carriers import Address, Carrier
from edgetainer.quic.codes import H3_NO_ERROR
from edgetainer.quic.driver import Driver
from edgetainer.quic.errors import SessionRefused, StreamLimit, failure
from edgetainer.quic.exchange import Exchange, Header
from edgetainer.quic.leftovers import NothingHere, SessionArriving
from edgetainer.quic.multiplexer import Multiplexer
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


class Http3Connection(Multiplexer):
    """HTTP/3 on one QUIC connection, at either end.

    Made by `endpoint.listen` and `endpoint.connect`.

    :param driver: the connection's driver; this becomes its handler.
    :param authority: clients: the `:authority` of requests.
    :param site: servers: what answers requests; None answers 404 to all.
    :param max_body: servers: the largest request body, in bytes.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        authority: str = "",
        site: Site | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        super().__init__(driver)
        self.max_body = max_body
        self.on_session: Callable[[SessionRequest], None] | None = None
        self._authority = authority.encode("ascii")
        self._site = site
        self._requests: set[int] = set()
        self._hearing: list[Deferred[None]] = []

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

    @property
    def last_sent(self) -> float:
        """`reactor.seconds()` when something was sent last."""
        return self.driver.quic.last_sent or 0.0

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

    # For the streams.

    def new_exchange(self, stream_id: int, headers: list[Header]) -> Exchange:
        """Who answers a request: a session's, the site's, or nobody's."""
        pseudo = dict(headers)
        if pseudo.get(b":method") == b"CONNECT" and pseudo.get(b":protocol") == b"webtransport":
            return SessionArriving(self, stream_id)
        if self._site is None:
            return NothingHere(self, stream_id)
        self._requests.add(stream_id)
        return SiteChannel(self, stream_id, self._site)

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

    def stream_forgotten(self, stream_id: int) -> None:
        """A stream is finished on both sides; called by the driver."""
        super().stream_forgotten(stream_id)
        self._requests.discard(stream_id)

    def terminated(self, reason: Failure) -> None:
        """The connection is over; called by the driver."""
        super().terminated(reason)
        self.on_session = None


def _failed(reason: Failure | None) -> Deferred[Any]:
    waiter: Deferred[Any] = Deferred()
    waiter.errback(reason or failure(ConnectionError("the connection is not ready")))
    return waiter
