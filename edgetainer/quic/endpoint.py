"""Listening and connecting on UDP: where QUIC connections begin.

listening = listen(reactor, interface="::", port=8444, tls=..., on_connection=...)
connection = await connect(reactor, host="example.com", port=8444, tls=..., timeout=10.0)
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorTime,
)
from twisted.web.server import Site

from edgetainer.quic.addresses import resolve
from edgetainer.quic.carriers import Address, BatchDone, DatagramReceived
from edgetainer.quic.client import ClientEndpoint
from edgetainer.quic.crediting import Limits
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.server import ServerEndpoint
from edgetainer.quic.settings import SERVER_LIMITS, ClientTls, ServerTls
from edgetainer.quic.udp import UdpCarrier
from edgetainer.quic.websocket_server import WebSocketDoor

__all__ = ["ClientTls", "Listening", "Reactor", "ServerTls", "client_carrier", "connect", "listen"]


class Reactor(IReactorTime, IReactorFDSet, IReactorPluggableNameResolver):
    """What is asked of the reactor."""


class Listening:
    """A server that accepts connections.

    :param server: the end that answers.
    :param carrier: the socket it answers on.
    :param door: takes datagrams from where UDP is blocked.
    """

    def __init__(self, server: ServerEndpoint, carrier: UdpCarrier, door: WebSocketDoor) -> None:
        self._server = server
        self._carrier = carrier
        self._door = door

    @property
    def address(self) -> Address:
        """Host and port; the port is the real one when 0 was asked for."""
        return self._carrier.address

    @property
    def websockets(self) -> WebSocketDoor:
        """Where datagrams may come in by WebSocket; put it on an HTTPS site."""
        return self._door

    def set_tls(self, tls: ServerTls) -> None:
        """Use another certificate or judgement for connections that begin from now on."""
        self._server.set_tls(tls)

    def close(self) -> Deferred[None]:
        """Close every connection and the socket; fires when all is done."""
        return self._server.close().addCallback(lambda _: self._door.close())


def listen(
    reactor: Reactor,
    *,
    interface: str,
    port: int,
    tls: ServerTls,
    on_connection: Callable[[Http3Connection], None],
    site: Site | None = None,
    limits: Limits = SERVER_LIMITS,
    owner: int = 0,
    static_key: bytes | None = None,
) -> Listening:
    """Accept HTTP/3 connections on a UDP port.

    :param interface: the local address; "::" and "0.0.0.0" are all of a family.
    :param port: 0 lets the system choose.
    :param tls: the server's identity and its judgement of clients.
    :param on_connection: called with each accepted connection.
    :param site: answers the requests of connections; None answers 404.
    :param limits: what one connection may cost, and the budget that all share.
    :param owner: tag of this process in its connection ids, 0 to 255.
    :param static_key: a kept secret of 32 bytes. With it clients notice at once that
        the server was restarted, even when it was killed; see `ServerEndpoint`.
    :raises ValueError: when the certificate or its key cannot be read.
    :raises CannotListenError: when the port is taken.
    """
    server = ServerEndpoint(
        reactor=reactor,
        tls=tls,
        on_connection=on_connection,
        site=site,
        limits=limits,
        owner=owner,
        static_key=static_key,
    )
    carrier = UdpCarrier(
        reactor,
        server.datagram_received,
        batch_done=server.batch_done,
        interface=interface,
        port=port,
    )
    server.start(carrier)
    door = WebSocketDoor(reactor=reactor, received=server.datagram_received, in_use=server.carriers)
    return Listening(server, carrier, door)


def connect(
    reactor: Reactor,
    *,
    host: str,
    port: int,
    tls: ClientTls,
    timeout: float,
    rtt_guess: float = 0.0,
) -> Deferred[Http3Connection]:
    """Make an HTTP/3 connection over UDP.

    Fires once the server's settings arrived, that is, once it has accepted our
    certificate; cancellable. Each connection has a socket of its own, bound to no
    address, so that it follows the route when the network changes.

    :param host: a name or an address.
    :param timeout: seconds for the handshake, after the name was resolved.
    :param rtt_guess: seconds that a round trip took the last time, 0 if unknown.
    :raises ValueError: when a certificate or a key cannot be read.
    """
    client = ClientEndpoint(reactor=reactor, tls=tls, timeout=timeout, rtt_guess=rtt_guess)

    def resolved(addresses: list[str]) -> Deferred[Http3Connection]:
        address = (addresses[0], port)
        carrier = client_carrier(reactor, client.datagram_received, address, client.batch_done)
        return client.connect(carrier, address)

    return resolve(reactor, host).addCallback(resolved)


def client_carrier(
    reactor: IReactorFDSet,
    received: DatagramReceived,
    address: Address,
    batch_done: BatchDone = lambda: None,
) -> UdpCarrier:
    """A client's own socket, of the family of the server's address and bound to none."""
    interface = "::" if ":" in address[0] else "0.0.0.0"  # noqa: S104
    return UdpCarrier(reactor, received, batch_done=batch_done, interface=interface, port=0)
