"""Which way a device's datagrams go: UDP, or a WebSocket where UDP is blocked.

UDP is always wanted; a WebSocket is what there is when nothing else passes.
A connection begins on whichever answers, with a head start for UDP, and moves
between them as it must, its channels none the wiser:

- when probes remain unanswered, or a WebSocket has ended, another one is opened and
  moved to;
- on a WebSocket, UDP is asked for at growing intervals and moved back to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.quic.carriers import Address, BatchDone, Carrier
from edgetainer.quic.client import ClientEndpoint
from edgetainer.quic.endpoint import ClientTls
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.reachability import Reachability
from edgetainer.quic.websocket import KIND as WEBSOCKET
from edgetainer.quic.websocket import ReceivedFrom
from edgetainer.tunnel.profiles import STANDARD, LinkProfile
from edgetainer.tunnel.race import Race

log = Logger()

#: Seconds that UDP has for itself when the device dials. A satellite's handshake
#: with Retry takes 1.8 s; and who is behind a wall has chosen well before five.
HEAD_START = 2.0

#: The same where UDP did not answer the last time.
SHORT_HEAD_START = 0.2

#: Seconds between looks at how the connection fares.
LOOK = 1.0

#: Probes without an answer (RFC 9002 section 6.2) that mean trouble: 1.8 s at a
#: round trip of 80 ms, 7 s at 600 ms. Fewer happen on any bad link.
SILENT_PROBES = 4

#: Seconds until UDP is asked for the first time; then doubling, as the profile allows.
ASK_FIRST = 15.0

#: Seconds for an answer.
ASK_TIMEOUT = 5.0

#: Seconds to open a WebSocket: five round trips by satellite, and a slow server.
OPEN_TIMEOUT = 10.0

#: Seconds between the first two tries to open one; then doubling, as between dials.
OPEN_FIRST = 5.0


class Socket(Carrier, Protocol):
    """A WebSocket that carries datagrams."""

    @property
    def peer_address(self) -> Address:
        """The server, as this carrier names it."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""


class Ways(Protocol):
    """How to reach the server; real sockets, or a test's."""

    def dial(
        self, host: str, port: int, tls: ClientTls, timeout: float, rtt_guess: float
    ) -> Deferred[Http3Connection]:
        """Connect over UDP; as `quic.endpoint.connect`."""

    def udp(
        self, received: ReceivedFrom, address: Address, batch_done: BatchDone = lambda: None
    ) -> Carrier:
        """A new UDP socket that can reach `address`."""

    def websocket(self, received: ReceivedFrom, timeout: float) -> Deferred[Socket]:
        """A new WebSocket."""


class Carriage:
    """Connects, and minds each connection until its end.

    :param ways: how to reach the server.
    :param profile: how often the link may be used for trying.
    :param rtt_guess: seconds that a round trip took on the present network the last
        time, 0 if unknown; asked at each attempt.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        ways: Ways,
        profile: LinkProfile = STANDARD,
        rtt_guess: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._reactor = reactor
        self._ways = ways
        self._profile = profile
        self._rtt_guess = rtt_guess
        self._blocked = False
        self._minders: set[_Minder] = set()

    def connect(
        self, host: str, port: int, tls: ClientTls, timeout: float
    ) -> Deferred[Http3Connection]:
        """Connect by whichever way answers first; cancellable.

        Fails as UDP did, or with the server's refusal.

        :param host: the server's address.
        :param port: its UDP port.
        :param timeout: seconds for each way.
        """
        race = Race(self._reactor)
        guess = self._rtt_guess()
        race.run(lambda: self._ways.dial(host, port, tls, timeout, guess))
        start = SHORT_HEAD_START if self._blocked else HEAD_START
        race.run(lambda: self._dial_websocket(tls, timeout, guess), after=start)
        return race.won.addCallback(self._connected, (host, port))

    def network_changed(self) -> None:
        """The device is on another network: what was found out no longer holds."""
        self._blocked = False
        for minder in self._minders:
            minder.network_changed()

    def _dial_websocket(
        self, tls: ClientTls, timeout: float, rtt_guess: float
    ) -> Deferred[Http3Connection]:
        client = ClientEndpoint(
            reactor=self._reactor, tls=tls, timeout=timeout, rtt_guess=rtt_guess
        )

        def received(data: bytes, address: Address, carrier: Carrier) -> None:
            client.datagram_received(data, address)

        def opened(socket: Socket) -> Deferred[Http3Connection]:
            return client.connect(socket, socket.peer_address)

        return self._ways.websocket(received, timeout).addCallback(opened)

    def _connected(self, connection: Http3Connection, address: Address) -> Http3Connection:
        self._blocked = connection.carrier.kind == WEBSOCKET
        minder = _Minder(self._reactor, self._ways, self._profile, connection, address)
        self._minders.add(minder)

        def over(_: object) -> None:
            self._minders.discard(minder)
            minder.stop()

        connection.notify_close().addBoth(over)
        return connection


class _Doubling:
    """Something to be tried at intervals that double."""

    def __init__(self, first: float, most: float) -> None:
        self._first, self._most = first, most
        self.restart(0.0)

    def restart(self, now: float) -> None:
        """It is due now, and then after the first interval."""
        self._at, self._interval = now, self._first

    def due(self, now: float) -> bool:
        """Whether it is time."""
        return now >= self._at

    def taken(self, now: float) -> None:
        """It was tried, or need not be this time."""
        self._at = now + self._interval
        self._interval = min(2 * self._interval, self._most)


class _Minder:
    """Minds one connection: a look each second, and what follows from it."""

    def __init__(
        self,
        reactor: Any,
        ways: Ways,
        profile: LinkProfile,
        connection: Http3Connection,
        address: Address,
    ) -> None:
        self._reactor = reactor
        self._ways = ways
        self._connection = connection
        self._address = address
        self._opening: Deferred[Any] | None = None
        self._asking: Deferred[Any] | None = None
        self._opens = _Doubling(OPEN_FIRST, profile.redial_most_s)
        self._asks = _Doubling(ASK_FIRST, profile.ask_most_s)
        self._was_websocket = False
        self._looks = LoopingCall(self._look)
        self._looks.clock = reactor
        self._looks.start(LOOK)

    def stop(self) -> None:
        """The connection is over."""
        if self._looks.running:
            self._looks.stop()
        for waiting in (self._opening, self._asking):
            if waiting is not None:
                waiting.cancel()

    def network_changed(self) -> None:
        """Ask for everything anew, now."""
        now = self._reactor.seconds()
        self._asks.restart(now)
        self._opens.restart(now)
        if self._connection.carrier.kind == WEBSOCKET and self._opening is None:
            # TCP would believe in the old address for minutes.
            self._open(now)

    def _look(self) -> None:
        now = self._reactor.seconds()
        if not self._in_trouble():
            self._opens.restart(now)
        elif self._opening is None and self._opens.due(now):
            self._open(now)
        on_websocket = self._connection.carrier.kind == WEBSOCKET
        if on_websocket and not self._was_websocket:
            self._asks.restart(now)
            self._asks.taken(now)
        self._was_websocket = on_websocket
        if on_websocket and self._asking is None and self._asks.due(now):
            self._ask(now)

    def _in_trouble(self) -> bool:
        carrier = self._connection.carrier
        if carrier.kind == WEBSOCKET and cast(Socket, carrier).over:
            return True
        # A WebSocket too: whatever forgot its TCP connection does not say so.
        return self._connection.unanswered_probes >= SILENT_PROBES

    def _open(self, now: float) -> None:
        """Open a WebSocket and move there."""
        self._opens.taken(now)

        def opened(socket: Socket) -> None:
            log.info("the tunnel moves to a WebSocket")
            self._connection.migrate(socket, socket.peer_address)

        def failed(reason: Failure) -> None:
            log.debug("no WebSocket: {why}", why=reason.value)

        def over(_: object) -> None:
            self._opening = None

        opening = self._ways.websocket(self._connection.datagram_received, OPEN_TIMEOUT)
        self._opening = opening
        opening.addCallbacks(opened, failed).addBoth(over)

    def _ask(self, now: float) -> None:
        """Ask whether UDP passes by now, and move there if it does."""
        self._asks.taken(now)
        question = Reachability(self._reactor)

        def received(data: bytes, address: Address, carrier: Carrier) -> None:
            question.datagram_received(data, address)

        def answered(yes: bool) -> None:
            if yes:
                log.info("the tunnel moves back to UDP")
                connection = self._connection
                carrier = self._ways.udp(
                    connection.datagram_received, self._address, connection.batch_done
                )
                self._connection.migrate(carrier, self._address)

        def failed(reason: Failure) -> None:
            log.debug("UDP cannot be asked: {why}", why=reason.value)

        def over(_: object) -> None:
            self._asking = None

        carrier = self._ways.udp(received, self._address)
        asking = question.ask(carrier, self._address, timeout=ASK_TIMEOUT)
        self._asking = asking
        asking.addCallbacks(answered, failed).addBoth(over)
