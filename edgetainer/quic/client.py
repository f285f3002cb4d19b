"""The client's end: one connection on a carrier of its own."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from edgetainer.quic.carriers import Address, Carrier
from edgetainer.quic.codes import H3_NO_ERROR
from edgetainer.quic.connection import Connection
from edgetainer.quic.crediting import Limits
from edgetainer.quic.driver import Driver
from edgetainer.quic.errors import failure
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.settings import CLIENT_LIMITS, ClientTls, client_configuration


class ClientEndpoint:
    """Makes one HTTP/3 connection.

    :param tls: whom to trust and how to identify oneself.
    :param timeout: seconds until the server's HTTP/3 settings must have arrived.
    :param rtt_guess: seconds that a round trip took the last time, 0 if unknown: on a
        long path nothing is repeated before its answer can have come.
    :raises ValueError: when a certificate or a key cannot be read.
    """

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        tls: ClientTls,
        timeout: float,
        limits: Limits = CLIENT_LIMITS,
        rtt_guess: float = 0.0,
    ) -> None:
        self._reactor = reactor
        self._configuration = client_configuration(tls)
        self._authority = tls.server_name
        self._timeout = timeout
        self._limits = limits
        self._rtt_guess = rtt_guess
        self._driver: Driver | None = None
        self._deadline: IDelayedCall | None = None

    def connect(self, carrier: Carrier, address: Address) -> Deferred[Http3Connection]:
        """Fires once the server's settings arrived, so once it has accepted us.

        Fails with `ConnectionClosed` when the server refuses or is silent.
        Cancelling closes the connection.
        """
        quic = Connection(
            configuration=self._configuration, limits=self._limits, rtt_guess=self._rtt_guess
        )
        driver = Driver(reactor=self._reactor, quic=quic, carrier=carrier, routes=self)
        connection = Http3Connection(driver, authority=self._authority)
        self._driver = driver

        def cancelled(_: Deferred[Http3Connection]) -> None:
            self._give_up("cancelled")

        ready: Deferred[Http3Connection] = Deferred(cancelled)

        def succeed() -> None:
            connection.on_ready = None
            self._stop_deadline()
            ready.callback(connection)

        def fail(reason: Failure) -> None:
            self._stop_deadline()
            if not ready.called:
                ready.errback(reason)

        def ended(result: object) -> None:
            if not ready.called:
                fail(driver.failure or failure(ConnectionError("closed")))

        connection.on_ready = succeed
        driver.notify_close().addBoth(ended)
        self._deadline = self._reactor.callLater(self._timeout, self._give_up, "no answer in time")
        driver.connect(address)
        return ready

    def datagram_received(self, data: bytes, address: Address) -> None:
        """One datagram from the carrier."""
        if self._driver is not None:
            self._driver.datagram_received(data, address)

    def batch_done(self) -> None:
        """The carrier has no more datagrams for now."""
        if self._driver is not None:
            self._driver.batch_done()

    def _give_up(self, reason: str) -> None:
        if self._driver is not None:
            self._driver.close(H3_NO_ERROR, reason)

    def _stop_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    # Routes: a client's carrier has one connection.

    def issued(self, connection_id: bytes, driver: Driver) -> None:
        """Everything on the carrier is this connection's anyway."""

    def retired(self, connection_id: bytes) -> None:
        """As above."""

    def ended(self, driver: Driver) -> None:
        """The closing period is over: its carriers are free."""
        self._stop_deadline()
        driver.close_carriers()
