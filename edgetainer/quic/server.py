"""The server's end of a datagram carrier: who may begin, and whose packet is this.

A datagram belongs to the connection that issued its destination connection id.
One that begins a connection is answered with Retry first, always, so that a
forged source address costs 30 microseconds and no memory (RFC 9000 section
8.1.2); and connections whose handshake is not complete are few and short-lived
(`half_open`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable

from aioquic._buffer import Buffer
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.packet import (
    QuicHeader,
    QuicPacketType,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.server import Site

from edgetainer.quic.allowance import Allowance
from edgetainer.quic.carriers import Address, Carrier
from edgetainer.quic.codes import H3_NO_ERROR
from edgetainer.quic.connection import CONNECTION_ID_LENGTH, Connection, tagged_connection_id
from edgetainer.quic.crediting import Limits
from edgetainer.quic.driver import Driver
from edgetainer.quic.half_open import HalfOpen
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.path_model import PathMemory, network_of
from edgetainer.quic.reset import Resets
from edgetainer.quic.retry import REFUSALS_PER_SECOND, RetryTokens, refusal
from edgetainer.quic.settings import SERVER_LIMITS, ServerTls, server_configuration
from edgetainer.quic.site import MAX_BODY

LONG_HEADER = 0x80
"""The bit that is set in the first byte of packets that belong to a handshake
(RFC 9000 section 17.2)."""

OnConnection = Callable[[Http3Connection], None]


class ServerEndpoint:
    """Accepts HTTP/3 connections from one carrier.

    :param reactor: its clock.
    :param tls: the server's identity and its judgement of clients.
    :param on_connection: called with each connection once its handshake is
        complete and the client's certificate was accepted.
    :param site: answers requests; None answers 404 to all.
    :param owner: tag of this process, 0 to 255: the first byte of its connection
        ids, so that processes that share a port can tell whose a packet is.
    :param static_key: what tokens are made with that outlive this process: Retry
        tokens and stateless reset tokens. It is secret, and kept, and processes that
        share a port share it; None draws one for this process.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        tls: ServerTls,
        on_connection: OnConnection,
        site: Site | None = None,
        limits: Limits = SERVER_LIMITS,
        max_body: int = MAX_BODY,
        owner: int = 0,
        static_key: bytes | None = None,
    ) -> None:
        self._reactor = reactor
        self._on_connection = on_connection
        self._site = site
        self._limits = limits
        self._max_body = max_body
        self._owner = owner
        key = static_key or os.urandom(32)
        self._retry = RetryTokens(key)
        self._refusals = Allowance(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND)
        self._resets = Resets(key, owner=owner)
        self._carrier: Carrier | None = None
        self._drivers: dict[bytes, Driver] = {}
        self._ids: dict[Driver, set[bytes]] = {}
        self._touched: dict[Driver, None] = {}
        self._paths: PathMemory[tuple[Hashable, str]] = PathMemory()
        self._half_open = HalfOpen(reactor)
        self._closing: Deferred[None] | None = None
        self.set_tls(tls)

    def set_tls(self, tls: ServerTls) -> None:
        """Use another certificate or judgement for connections that begin from now on."""
        self._configuration = server_configuration(tls)
        self._tls = tls

    def start(self, carrier: Carrier) -> None:
        """Answer on this carrier."""
        self._carrier = carrier

    def close(self) -> Deferred[None]:
        """Close every connection and stop; fires when the last one is forgotten."""
        if self._closing is None:
            self._closing = Deferred()
            self._half_open.stop()
            for driver in list(self._ids):
                if driver in self._half_open:
                    driver.abandon()
                else:
                    driver.close(H3_NO_ERROR, "the server stops")
            self._check_closed()
        return self._closing

    def carriers(self) -> dict[Carrier, bool]:
        """What carries connections now, and whether one of them is established."""
        carriers: dict[Carrier, bool] = {}
        for driver in self._ids:
            established = driver not in self._half_open
            carriers[driver.carrier] = carriers.get(driver.carrier, False) or established
        return carriers

    def _check_closed(self) -> None:
        if self._closing is not None and not self._ids and self._carrier is not None:
            carrier, self._carrier = self._carrier, None
            carrier.close().chainDeferred(self._closing)

    # Datagrams.

    def datagram_received(
        self, data: bytes, address: Address, carrier: Carrier | None = None
    ) -> None:
        """One datagram from a carrier; hostile until proven otherwise.

        :param carrier: what brought it, and what takes the answers; the one that was
            given to `start` when left out.
        """
        carrier = carrier or self._carrier
        if carrier is None:
            return
        if data and not data[0] & LONG_HEADER:
            # Nearly all are of this kind, whose connection id is where it always is.
            driver = self._drivers.get(data[1 : 1 + CONNECTION_ID_LENGTH])
            if driver is not None:
                self._touched[driver] = None
                driver.datagram_received(data, address, carrier)
                return
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=CONNECTION_ID_LENGTH)
        except ValueError:
            return
        driver = self._drivers.get(header.destination_cid)
        if driver is not None:
            self._touched[driver] = None
            driver.datagram_received(data, address, carrier)
        elif header.version is None:
            reset = self._resets.answer(data, header.destination_cid, now=self._reactor.seconds())
            if reset is not None:
                carrier.send(reset, address)
        elif len(data) >= SMALLEST_MAX_DATAGRAM_SIZE:
            # Smaller ones may not begin anything, nor make us answer with more
            # than they brought (RFC 9000 sections 6.1 and 14.1).
            self._unknown(carrier, data, address, header, header.version)

    def batch_done(self) -> None:
        """The carrier has no more datagrams for now: everybody who got some answers."""
        touched, self._touched = self._touched, {}
        for driver in touched:
            try:
                driver.batch_done()
            except Exception:
                # A mistake of ours on one connection; the others have theirs to say.
                self._log.failure("answering {peer} failed", peer=driver.peer)

    def _unknown(
        self, carrier: Carrier, data: bytes, address: Address, header: QuicHeader, version: int
    ) -> None:
        if header.packet_type == QuicPacketType.VERSION_NEGOTIATION or self._closing is not None:
            return
        if version not in self._configuration.supported_versions:
            reply = encode_quic_version_negotiation(
                source_cid=header.destination_cid,
                destination_cid=header.source_cid,
                supported_versions=self._configuration.supported_versions,
            )
            carrier.send(reply, address)
        elif header.packet_type != QuicPacketType.INITIAL:
            return
        elif not header.token:
            self._send_retry(carrier, address, header, version)
        else:
            self._begin(carrier, data, address, header, version)

    def _send_retry(
        self, carrier: Carrier, address: Address, header: QuicHeader, version: int
    ) -> None:
        source = tagged_connection_id(self._owner)
        token = self._retry.create_token(
            address=address,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=source,
            now=self._reactor.seconds(),
        )
        packet = encode_quic_retry(
            version=version,
            source_cid=source,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )
        carrier.send(packet, address)

    def _begin(
        self, carrier: Carrier, data: bytes, address: Address, header: QuicHeader, version: int
    ) -> None:
        try:
            original = self._retry.validate_token(
                address=address,
                destination_cid=header.destination_cid,
                token=header.token,
                now=self._reactor.seconds(),
            )
        except ValueError:
            # Expired or forged, or the client's NAT has another port for it by now.
            if self._refusals.take(self._reactor.seconds()):
                carrier.send(refusal(header, version), address)
            return
        if not self._half_open.admits(address):
            return
        quic = Connection(
            configuration=self._configuration,
            limits=self._limits,
            verify_client=self._tls.verify_client,
            owner=self._owner,
            make_token=self._resets.token,
            original_destination_connection_id=original,
            retry_source_connection_id=header.destination_cid,
            rtt_guess=self._retry.age(header.token),
        )
        driver = Driver(reactor=self._reactor, quic=quic, carrier=carrier, routes=self)
        connection = Http3Connection(driver, site=self._site, max_body=self._max_body)
        connection.on_handshake = lambda: self._established(driver, connection)
        self._ids[driver] = set()
        self.issued(header.destination_cid, driver)
        self.issued(quic.host_cid, driver)
        self._half_open.begun(driver, address)
        self._touched[driver] = None
        driver.datagram_received(data, address)

    def _established(self, driver: Driver, connection: Http3Connection) -> None:
        self._half_open.done(driver)
        self._start_from_memory(connection)
        self._on_connection(connection)

    def _start_from_memory(self, connection: Http3Connection) -> None:
        """What was learned of the path to a client serves its next connection."""
        if connection.identity is None or not isinstance(connection.identity, Hashable):
            return
        key = (connection.identity, network_of(connection.peer[0]))
        model = self._paths.recall(key, self._reactor.seconds())
        if model is not None:
            connection.start_from(model)

        def over(_: object) -> None:
            learned = connection.path_model
            if learned is not None and network_of(connection.peer[0]) == key[1]:
                self._paths.remember(key, learned, self._reactor.seconds())

        connection.notify_close().addBoth(over)

    # Routes.

    def issued(self, connection_id: bytes, driver: Driver) -> None:
        """The peer may send to this connection id."""
        if driver in self._ids:
            self._ids[driver].add(connection_id)
            self._drivers[connection_id] = driver

    def retired(self, connection_id: bytes) -> None:
        """The peer uses this connection id no more."""
        driver = self._drivers.pop(connection_id, None)
        if driver is not None:
            self._ids[driver].discard(connection_id)

    def ended(self, driver: Driver) -> None:
        """The connection's closing period is over."""
        self._half_open.done(driver)
        self._touched.pop(driver, None)
        for connection_id in self._ids.pop(driver, set()):
            self._drivers.pop(connection_id, None)
        self._check_closed()
