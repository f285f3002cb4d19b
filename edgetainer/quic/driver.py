"""Runs one QUIC connection: datagrams in and out, one timer, events drained.

The state machine in `connection` has no clock and no socket; this is the whole
shell around it. It knows nothing of HTTP: what events mean is its `handler`'s
business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Protocol

from aioquic.quic import events
from aioquic.quic.packet import QuicErrorCode
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.quic.carriers import Address, Carrier, Route
from edgetainer.quic.codes import H3_INTERNAL_ERROR, NO_ERROR
from edgetainer.quic.connection import Connection
from edgetainer.quic.errors import ConnectionClosed, ConnectionReset, failure, tell_end
from edgetainer.quic.outflow import Outflow
from edgetainer.quic.timer import Timer


class Handler(Protocol):
    """What the events of a connection mean."""

    def quic_event(self, event: events.QuicEvent) -> None:
        """One event of the state machine, in order."""

    def stream_forgotten(self, stream_id: int) -> None:
        """Both halves of a stream are finished and acknowledged; no event follows."""

    def terminated(self, reason: Failure) -> None:
        """The connection is over; called once, and nothing follows it."""


class Routes(Protocol):
    """Who finds the connection by the connection ids that it issued."""

    def issued(self, connection_id: bytes, driver: Driver) -> None:
        """The peer may use this id from now on."""

    def retired(self, connection_id: bytes) -> None:
        """The peer will not use this id any more."""

    def ended(self, driver: Driver) -> None:
        """The connection's closing period is over; forget it."""


class Driver:
    """One connection on a reactor.

    :param reactor: its clock drives every timer of the connection.
    :param quic: the state machine, which nobody else may feed.
    :param carrier: where datagrams go out at first.
    :param routes: told about connection ids and the end.
    """

    _log = Logger()

    def __init__(
        self, *, reactor: IReactorTime, quic: Connection, carrier: Carrier, routes: Routes
    ) -> None:
        self.reactor = reactor
        self.quic = quic
        self.handler: Handler | None = None
        self._routes = routes
        self._carriers = [carrier]
        self._timer = Timer(reactor, self._turn)
        self._sending: IDelayedCall | None = None
        self._waiting: dict[Outflow, None] = {}
        self._flushing: dict[int, Callable[[], None]] = {}
        self._pings: dict[int, Deferred[None]] = {}
        self._next_ping = 0
        self._close_waiters: list[Deferred[None]] = []
        self._failure: Failure | None = None
        self._closing_datagrams: list[tuple[bytes, Route]] = []
        self._closing_received = 0

    # The peer's address and the connection's health.

    @property
    def peer(self) -> Address:
        """Where datagrams go now; it changes when the peer moves."""
        route = self.route
        return ("", 0) if route is None else (route.address[0], route.address[1])

    @property
    def route(self) -> Route | None:
        """The way that datagrams take now; None before a client's first."""
        route: Route | None = self.quic.get_peer_address()
        return route

    @property
    def carrier(self) -> Carrier:
        """Where datagrams go out now."""
        return self._carriers[0] if self.route is None else self.route.carrier

    @property
    def failure(self) -> Failure | None:
        """Why the connection is over, or None while it lives."""
        return self._failure

    def ping(self) -> Deferred[None]:
        """Send a PING; fires when the peer acknowledged it."""
        if self._failure is not None:
            failed: Deferred[None] = Deferred()
            failed.errback(self._failure)
            return failed
        uid = self._next_ping
        self._next_ping += 1

        def cancelled(_: Deferred[None]) -> None:
            self._pings.pop(uid, None)

        waiter: Deferred[None] = Deferred(cancelled)
        self._pings[uid] = waiter
        self.quic.send_ping(uid)
        self.transmit_soon()
        return waiter

    def notify_close(self) -> Deferred[None]:
        """Fires when the connection is over: None if cleanly, else `ConnectionClosed`."""
        waiter: Deferred[None] = Deferred()
        if self._failure is None:
            self._close_waiters.append(waiter)
        else:
            tell_end(waiter, self._failure)
        return waiter

    # Datagrams and timers.

    def connect(self, address: Address) -> None:
        """Clients: begin the handshake with this address."""
        self.quic.connect(Route(address, self.carrier), now=self.reactor.seconds())
        self._turn()

    def migrate(self, carrier: Carrier | None, address: Address | None) -> None:
        """Clients: see `Http3Connection.migrate`."""
        present = self.route
        if present is None:
            raise ValueError("the connection has not begun")
        route = Route(address or present.address, carrier or present.carrier)
        known = route.carrier in self._carriers
        if self._failure is not None:
            if not known:
                route.carrier.close()
            return
        if not known:
            self._carriers.append(route.carrier)
        self.quic.migrate(route, now=self.reactor.seconds())
        self._turn()

    def datagram_received(
        self, data: bytes, address: Address, carrier: Carrier | None = None
    ) -> None:
        """Feed one datagram. What it brought is told, and answered, with `batch_done`;
        at the latest before the reactor sleeps.

        :param carrier: what brought it; the first one when left out.
        """
        if self._failure is not None:
            self._repeat_close()
            return
        route = Route(address, carrier or self._carriers[0])
        self.quic.receive_datagram(data, route, now=self.reactor.seconds())
        self.transmit_soon()

    def batch_done(self) -> None:
        """The carrier has no more datagrams for now: answer those that it had."""
        if self._sending is not None:
            self._sending.cancel()
            self._send_now()

    def transmit_soon(self) -> None:
        """Send what is pending before the reactor sleeps, many writes at once."""
        if self._sending is None and self._failure is None:
            self._sending = self.reactor.callLater(0, self._send_now)

    def close(self, code: int, reason: str) -> None:
        """Close the connection and tell the peer (RFC 9000 section 10.2)."""
        if self._failure is not None:
            return
        # A reason is one line for a log; a long one would not fit its packet.
        self.quic.close(error_code=code, reason_phrase=reason[:200])
        self._turn()

    def _send_now(self) -> None:
        self._sending = None
        self._turn()

    def _turn(self, timer: float | None = None) -> None:
        """Send what is due, tell those who wait for room, set the timer.

        :param timer: the time, if the timer fired.
        """
        try:
            self._advance(timer)
        except Exception:
            # A mistake of ours, after which nothing is certain and no timer set. Dropped,
            # it takes no memory, and a server's stateless reset tells the peer.
            self._log.failure("the connection with {peer} is dropped", peer=self.peer)
            self.abandon(QuicErrorCode.INTERNAL_ERROR, "internal error")

    def _advance(self, timer: float | None) -> None:
        if timer is not None:
            self.quic.handle_timer(now=timer)
        self._drain()
        if self.quic.get_peer_address() is None:
            return
        closing = self.quic.terminated is not None
        datagrams = self.quic.datagrams_to_send(now=self.reactor.seconds())
        self._send(datagrams)
        if not closing and self.quic.terminated is not None:
            self._closing_datagrams = datagrams
        for stream_id in self.quic.take_forgotten():
            if self.handler is not None:
                self.handler.stream_forgotten(stream_id)
        self._drain()
        self._tell_drained()
        self._timer.set(self.quic.get_timer())
        if len(self._carriers) > 1 and self._failure is None:
            self._close_unused()

    def _send(self, datagrams: Sequence[tuple[bytes, Route]]) -> None:
        for carrier, group in groupby(datagrams, key=_carrier_of):
            carrier.send_many([(data, route.address) for data, route in group])

    def _close_unused(self) -> None:
        """Close the carriers on which nothing comes or goes any more."""
        used = [route.carrier for route in self.quic.routes()]
        for carrier in [carrier for carrier in self._carriers if carrier not in used]:
            self._carriers.remove(carrier)
            carrier.close()

    def close_carriers(self) -> None:
        """Clients, when all is over: the carriers are free."""
        carriers, self._carriers = self._carriers, self._carriers[:1]
        for carrier in carriers:
            carrier.close()

    def _repeat_close(self) -> None:
        # The peer has not heard that we closed. Say it again, ever more rarely
        # (RFC 9000 section 10.2.1): at its 1st, 2nd, 4th, 8th... datagram.
        self._closing_received += 1
        if self._closing_received & (self._closing_received - 1) == 0:
            self._send(self._closing_datagrams)

    # Events.

    def _drain(self) -> None:
        while True:
            event = self.quic.next_event()
            if event is None:
                break
            if isinstance(event, events.ConnectionIdIssued):
                self._routes.issued(event.connection_id, self)
            elif isinstance(event, events.ConnectionIdRetired):
                self._routes.retired(event.connection_id)
            elif isinstance(event, events.ConnectionTerminated):
                self._over(event)
                self._cancel_timers()
                self._routes.ended(self)
            elif isinstance(event, events.PingAcknowledged):
                waiter = self._pings.pop(event.uid, None)
                if waiter is not None:
                    waiter.callback(None)
            elif self.handler is not None and self._failure is None:
                try:
                    self.handler.quic_event(event)
                except Exception:
                    self._log.failure("handling {event} failed", event=type(event).__name__)
                    self.close(H3_INTERNAL_ERROR, "internal error")
        event = self.quic.terminated
        if event is not None:
            self._over(event)

    def _over(self, event: events.ConnectionTerminated) -> None:
        if self._failure is not None:
            return
        self._failure = failure(
            ConnectionReset()
            if self.quic.was_reset
            else ConnectionClosed(
                event.error_code, event.reason_phrase, by_peer=self.quic.ended_by_peer
            )
        )
        self.quic.release()
        waiting, self._waiting = self._waiting, {}
        self._flushing.clear()
        if self.handler is not None:
            self.handler.terminated(self._failure)
        for outflow in waiting:
            outflow.stop()
        pings, self._pings = self._pings, {}
        for ping in pings.values():
            ping.errback(self._failure)
        waiters, self._close_waiters = self._close_waiters, []
        for waiter in waiters:
            tell_end(waiter, self._failure)

    def abandon(self, code: int = NO_ERROR, reason: str = "") -> None:
        """Forget the connection without a word to the peer.

        :param code: the error code that this end is told.
        """
        self._over(events.ConnectionTerminated(code, None, reason))
        self._cancel_timers()
        self._routes.ended(self)

    def _cancel_timers(self) -> None:
        self._timer.set(None)
        if self._sending is not None and self._sending.active():
            self._sending.cancel()
        self._sending = None

    # Waiting for bytes to leave.

    def await_room(self, outflow: Outflow) -> None:
        """Tell this outflow each time that bytes were sent, and once soon."""
        self._waiting[outflow] = None
        self.transmit_soon()

    def forget_room(self, outflow: Outflow) -> None:
        """Undo `await_room`."""
        self._waiting.pop(outflow, None)

    def when_flushed(self, stream_id: int, done: Callable[[], None]) -> None:
        """Call `done` once every byte written to the stream was sent."""
        self._flushing[stream_id] = done
        self.transmit_soon()

    def _tell_drained(self) -> None:
        for outflow in list(self._waiting):
            if outflow in self._waiting:
                outflow.drained()
        for stream_id, done in list(self._flushing.items()):
            if self.quic.unsent(stream_id) == 0:
                del self._flushing[stream_id]
                done()


def _carrier_of(datagram: tuple[bytes, Route]) -> Carrier:
    return datagram[1].carrier
