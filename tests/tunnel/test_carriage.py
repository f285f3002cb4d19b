"""Which way the datagrams go, with UDP that is let through or not, on a fake clock."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionRefusedError  # noqa: A004 - Twisted's name
from twisted.internet.task import deferLater

from edgetainer.quic.carriers import Address
from edgetainer.quic.errors import ConnectionClosed
from edgetainer.quic.http3 import Http3Connection
from edgetainer.tunnel.carriage import ASK_FIRST, Carriage
from edgetainer.tunnel.profiles import METERED, STANDARD, LinkProfile
from tests.authority import Authority
from tests.network import SERVER, MemoryCarrier, Network

HTTPS: Address = ("192.0.2.1", 443)


class MemorySocket(MemoryCarrier):
    """A WebSocket in memory: its datagrams go to the server's other address."""

    kind = "websocket"

    def __init__(self, network: Network, address: Address, received: Any) -> None:
        super().__init__(network, address, lambda data, source: received(data, HTTPS, self))
        self.peer_address = HTTPS
        self.over = False

    def close(self) -> Deferred[None]:
        self.over = True
        return super().close()


class ServerSocket(MemoryCarrier):
    """The server's end of all of them."""

    kind = "websocket"

    def __init__(self, network: Network, server: Any) -> None:
        super().__init__(
            network, HTTPS, lambda data, source: server.datagram_received(data, source, self)
        )


class World:
    """A server behind a wall that lets UDP pass or not; implements `Ways`."""

    def __init__(self, profile: LinkProfile = STANDARD, **network: Any) -> None:
        self.network = Network(**network)
        self.accepted: list[Http3Connection] = []
        self.server = self.network.listen(on_connection=self.accepted.append)
        ServerSocket(self.network, self.server)
        self.udp_passes = True
        self.https_passes = True
        self.network.filter = self._wall
        self.opened: list[MemorySocket] = []
        self.asked: list[float] = []
        self.guess = 0.0
        self.carriage = Carriage(
            reactor=self.network.reactor,
            ways=self,
            profile=profile,
            rtt_guess=lambda: self.guess,
        )
        self._next = 1

    def _wall(self, data: bytes, source: Address, destination: Address) -> bool:
        if HTTPS in (source, destination):
            return self.https_passes
        return self.udp_passes

    def _address(self) -> Address:
        self._next += 1
        return ("203.0.113.5", 50000 + self._next)

    def dial(
        self, host: str, port: int, tls: Any, timeout: float, rtt_guess: float
    ) -> Deferred[Http3Connection]:
        return self.network.connect(
            tls=tls, timeout=timeout, address=(host, port), rtt_guess=rtt_guess
        )

    def udp(self, received: Any, address: Address, batch_done: Any = None) -> MemoryCarrier:
        self.asked.append(self.network.clock.seconds())
        carrier = MemoryCarrier(
            self.network, self._address(), lambda data, source: received(data, source, carrier)
        )
        return carrier

    def websocket(self, received: Any, timeout: float) -> Deferred[Any]:
        if not self.https_passes:
            return fail(ConnectionRefusedError())
        socket = MemorySocket(self.network, self._address(), received)
        self.opened.append(socket)
        # TCP, TLS and the WebSocket's own handshake.
        return deferLater(self.network.clock, 6 * self.network.delay, lambda: socket)

    def connect(self, tls: Any = None) -> Deferred[Http3Connection]:
        tls = tls or self.network.client_tls()
        return self.carriage.connect(*SERVER, tls, 15.0)

    def kind(self, connection: Http3Connection) -> str:
        return connection.carrier.kind

    def works(self, connection: Http3Connection) -> bool:
        """Whether a ping is answered."""
        self.network.run(connection.ping(), timeout=10.0)
        return True


def test_udp_is_preferred() -> None:
    world = World()
    connection = world.network.run(world.connect())
    assert world.kind(connection) == "udp"
    world.network.pass_time(60)
    assert not world.opened
    assert not world.asked


@pytest.mark.parametrize("udp", [True, False])
def test_a_remembered_round_trip_paces_the_handshake_either_way(udp: bool) -> None:
    world = World()
    world.guess, world.udp_passes = 0.9, udp
    connection = world.network.run(world.connect())
    assert (world.kind(connection) == "udp") is udp
    assert connection.driver.quic._loss.rtt.initial == 0.9


@pytest.mark.parametrize("delay", [0.01, 0.3])
def test_a_websocket_is_chosen_within_five_seconds(delay: float) -> None:
    world = World(delay=delay)
    world.udp_passes = False
    connecting = world.connect()
    world.network.until(lambda: bool(world.opened), timeout=5.0)
    connection = world.network.run(connecting)
    assert world.kind(connection) == "websocket"
    assert world.accepted[0].driver.carrier.kind == "websocket"
    assert world.works(connection)
    # The next time it does not wait so long.
    before = world.network.clock.seconds()
    assert world.kind(world.network.run(world.connect())) == "websocket"
    assert world.network.clock.seconds() - before < 0.2 + 20 * delay


def test_when_nothing_passes_it_says_so_in_time() -> None:
    world = World()
    world.udp_passes = world.https_passes = False
    with pytest.raises(ConnectionClosed, match="no answer in time"):
        world.network.run(world.connect())
    assert world.network.clock.seconds() <= 16.0


def test_a_refusal_is_not_asked_about_twice() -> None:
    world = World()
    stranger = world.network.client_tls(Authority("another").client())
    with pytest.raises(ConnectionClosed) as caught:
        world.network.run(world.connect(stranger))
    assert caught.value.by_peer
    assert not world.opened
    world.network.pass_time(10)
    assert not world.opened


def test_cancelling_ends_every_attempt() -> None:
    world = World()
    world.udp_passes = False
    connecting = world.connect()
    world.network.pass_time(2.03)
    assert world.opened
    connecting.cancel()
    with pytest.raises(CancelledError):
        world.network.run(connecting)
    world.network.pass_time(30)
    assert not world.accepted


def test_udp_is_asked_for_at_growing_intervals_and_moved_back_to() -> None:
    world = World()
    world.udp_passes = False
    connection = world.network.run(world.connect())
    start = world.network.clock.seconds()
    for _ in range(25):
        world.network.pass_time(100)
        assert world.works(connection)
    gaps = [later - earlier for earlier, later in pairwise([start, *world.asked])]
    assert gaps[0] == pytest.approx(ASK_FIRST, abs=1.1)
    assert gaps[:4] == pytest.approx([15, 30, 60, 120], abs=1.1)
    assert max(gaps) == pytest.approx(STANDARD.ask_most_s, abs=1.1)
    world.udp_passes = True
    world.network.until(lambda: world.kind(connection) == "udp", timeout=STANDARD.ask_most_s + 5)
    assert world.works(connection)
    assert world.accepted[0].driver.carrier.kind == "udp"
    world.network.until(lambda: world.opened[0].over, timeout=20.0)
    assert len(world.accepted) == 1


def test_a_changed_network_is_asked_at_once() -> None:
    world = World()
    world.udp_passes = False
    connection = world.network.run(world.connect())
    world.network.pass_time(200)
    world.udp_passes = True
    world.carriage.network_changed()
    world.network.until(lambda: world.kind(connection) == "udp", timeout=3.0)


def test_a_changed_network_leaves_the_old_websocket_at_once() -> None:
    world = World()
    world.udp_passes = False
    connection = world.network.run(world.connect())
    left = world.opened[0].address
    world.network.filter = lambda data, source, destination: (
        HTTPS in (source, destination) and left not in (source, destination)
    )
    # As the dialer does it, and then the carriage.
    connection.migrate()
    world.carriage.network_changed()
    world.network.run(connection.ping(), timeout=2.0)
    assert len(world.opened) == 2
    world.network.until(lambda: world.opened[0].over, timeout=20.0)
    assert len(world.accepted) == 1


def test_a_connection_moves_to_a_websocket_when_udp_falls_silent() -> None:
    world = World()
    connection = world.network.run(world.connect())
    world.udp_passes = False
    connection.ping().addErrback(lambda _: None)
    world.network.until(lambda: world.kind(connection) == "websocket", timeout=10.0)
    assert world.works(connection)
    world.udp_passes = True
    world.network.until(lambda: world.kind(connection) == "udp", timeout=2 * ASK_FIRST)
    assert world.works(connection)


def test_a_websocket_that_ends_is_opened_again() -> None:
    world = World()
    world.udp_passes = False
    connection = world.network.run(world.connect())
    world.opened[0].close()
    world.network.until(lambda: len(world.opened) == 2, timeout=3.0)
    assert world.works(connection)
    assert world.kind(connection) == "websocket"


def test_a_websocket_that_falls_silent_is_replaced() -> None:
    world = World()
    world.udp_passes = False
    connection = world.network.run(world.connect())
    forgotten = {world.opened[0].address}
    world.network.filter = lambda data, source, destination: (
        HTTPS in (source, destination) and not forgotten & {source, destination}
    )
    pinged = connection.ping()
    world.network.run(pinged, timeout=15.0)
    assert world.kind(connection) == "websocket"
    assert len(world.opened) == 2
    assert len(world.accepted) == 1


def test_a_metered_link_is_hardly_asked_for_udp() -> None:
    world = World(METERED)
    world.udp_passes = False
    connection = world.network.run(world.connect())
    start = world.network.clock.seconds()
    days = 1
    for _ in range(days * 24 * 6):
        world.network.pass_time(600)
        assert world.works(connection)
    assert world.asked[0] - start == pytest.approx(ASK_FIRST, abs=1.1)
    gaps = [later - earlier for earlier, later in pairwise(world.asked)]
    assert max(gaps) == pytest.approx(METERED.ask_most_s, abs=1.1)
    # Three datagrams of 1,200 bytes each time, of a month's 3 MB.
    assert len(world.asked) < 10 + 4 * days


def test_an_outage_of_everything_is_survived() -> None:
    world = World()
    connection = world.network.run(world.connect())
    world.udp_passes = world.https_passes = False
    pinged = connection.ping()
    world.network.pass_time(120)
    assert not pinged.called
    world.udp_passes = True
    world.network.run(pinged, timeout=3.0)
    assert world.kind(connection) == "udp"
    assert len(world.opened) == 0
