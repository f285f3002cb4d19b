"""Two QUIC ends in memory, on one fake clock, over a link that misbehaves on cue.

    network = Network(seed=7, loss=0.02, delay=0.04, jitter=0.01)
    server = network.listen(on_connection=accepted.append)
    client = network.run(network.connect())

Nothing here is a stand-in for the code under test: the ends are the real ones,
only the sockets and the clock are not. Certificates are made per run, because
the TLS engine reads the wall clock (see `tests.authority`).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.web.server import Site

from edgetainer.quic.carriers import Address
from edgetainer.quic.certificates import verify_client_chain
from edgetainer.quic.client import ClientEndpoint
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.server import ServerEndpoint
from edgetainer.quic.settings import ClientTls, ServerTls
from tests.authority import Authority, Leaf, shared_authority
from tests.link import IP_UDP, Link

T = TypeVar("T")

SERVER: Address = ("192.0.2.1", 8444)
SERVER_NAME = "server.test"


class MemoryCarrier:
    """One end's socket on the network."""

    kind = "udp"

    def __init__(
        self,
        network: Network,
        address: Address,
        received: Callable[[bytes, Address], None],
        batch_done: Callable[[], None] = lambda: None,
    ) -> None:
        self.address = address
        self.received = received
        self.batch_done = batch_done
        self.closed = False
        self._network = network
        network.carriers[address] = self

    def send(self, data: bytes, address: Address) -> None:
        if not self.closed:
            self._network.carry(data, self.address, address)

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        for data, address in datagrams:
            self.send(data, address)

    def largest_datagram(self, address: Address) -> int:
        return self._network.largest_datagram

    def move(self, address: Address) -> None:
        """Take another address, as a device does when its NAT or network changes."""
        self._network.carriers.pop(self.address, None)
        self.address = address
        self._network.carriers[address] = self

    def close(self) -> Deferred[None]:
        """Nothing comes or goes any more, as when the process is killed."""
        self.closed = True
        if self._network.carriers.get(self.address) is self:
            del self._network.carriers[self.address]
        return succeed(None)


class Network:
    """A link with seeded loss, delay, reordering and duplication, the same both ways.

    :param clock: whose time passes; a new one when left out.
    :param seed: of the randomness; printed, so that a failure can be repeated.
    :param loss: probability that a datagram is lost, 0 to 1.
    :param delay: one way, in seconds.
    :param jitter: up to this many seconds are added to the delay of each datagram,
        so those that are sent close together overtake each other.
    :param duplicate: probability that a datagram arrives twice.
    :param link: a bottleneck that all datagrams go through; then its loss and delays
        count, and not those above.

    :ivar mtu: bytes; larger datagrams are lost.
    :ivar largest_datagram: bytes of the largest that the ends hold worth trying.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        seed: int = 1,
        loss: float = 0.0,
        delay: float = 0.01,
        jitter: float = 0.0,
        duplicate: float = 0.0,
        link: Link | None = None,
        authority: Authority | None = None,
    ) -> None:
        print(f"network seed {seed}: loss {loss}, delay {delay} s, jitter {jitter} s")
        self.clock = clock or Clock()
        self.random = random.Random(seed)
        self.loss = loss
        self.delay = delay
        self.jitter = jitter
        self.duplicate = duplicate
        self.link = link
        self.mtu = 65_535
        self.largest_datagram = 1200
        self.up = True
        self.carriers: dict[Address, MemoryCarrier] = {}
        self.carried = 0
        self.lost = 0
        self.filter: Callable[[bytes, Address, Address], bool] | None = None
        self.authority = authority or shared_authority()
        self._next_client = 1
        self._standing = 0
        self._flying: list[tuple[float, int, bytes, Address, Address]] = []
        self._sent = 0
        self._arrival: Any = None

    # The link.

    def carry(self, data: bytes, source: Address, destination: Address) -> None:
        """Take one datagram; deliver it, or not, later."""
        self.carried += 1
        dropped = self.filter is not None and not self.filter(data, source, destination)
        dropped = dropped or len(data) > self.mtu
        arrivals = [] if dropped or not self.up else self._arrival_times(data, destination)
        if not arrivals:
            self.lost += 1
            return
        for arrival in arrivals:
            self._sent += 1
            heapq.heappush(self._flying, (arrival, self._sent, data, source, destination))
        self._wake()

    def _arrival_times(self, data: bytes, destination: Address) -> list[float]:
        now = self.clock.seconds()
        if self.link is not None:
            way = self.link.up if destination[0] == SERVER[0] else self.link.down
            due = way.carry(len(data) + IP_UDP, now)
            return [] if due is None else [due]
        if self.random.random() < self.loss:
            return []
        copies = 2 if self.random.random() < self.duplicate else 1
        return [now + self.delay + self.random.random() * self.jitter for _ in range(copies)]

    def _wake(self) -> None:
        # One call of the clock for the next arrival: it sorts all its calls each
        # time, which thousands of datagrams in flight would make slow.
        if self._flying and (self._arrival is None or self._flying[0][0] < self._arrival.getTime()):
            if self._arrival is not None:
                self._arrival.cancel()
            delay = max(0.0, self._flying[0][0] - self.clock.seconds())
            self._arrival = self.clock.callLater(delay, self._arrivals)

    def _arrivals(self) -> None:
        self._arrival = None
        now = self.clock.seconds() + 1e-9
        reached: dict[Address, None] = {}
        while self._flying and self._flying[0][0] <= now:
            _, _, data, source, destination = heapq.heappop(self._flying)
            self._arrive(data, source, destination)
            reached[destination] = None
        # What arrives at one moment is one batch, as on a socket.
        for destination in reached:
            if destination in self.carriers:
                self.carriers[destination].batch_done()
        self._wake()

    def _arrive(self, data: bytes, source: Address, destination: Address) -> None:
        carrier = self.carriers.get(destination)
        if carrier is not None and self.up:
            carrier.received(data, source)

    # The ends.

    @property
    def reactor(self) -> IReactorTime:
        return cast(IReactorTime, self.clock)

    def server_tls(self, **kwargs: Any) -> ServerTls:
        """A server certificate of the network's authority; clients need one of it too."""
        leaf = self.authority.server(SERVER_NAME)
        kwargs.setdefault("verify_client", self.verify_client)
        return ServerTls(leaf.certificate_pem, leaf.key_pem, **kwargs)

    def verify_client(self, chain: list[Any]) -> object:
        """The identity of a test client is the subject of its certificate."""
        leaf = verify_client_chain(chain, [self.authority.certificate], datetime.now(UTC))
        return leaf.subject.rfc4514_string()

    def client_tls(self, leaf: Leaf | None = None) -> ClientTls:
        """A client that trusts the network's authority and shows `leaf`."""
        leaf = leaf or self.authority.client()
        return ClientTls(self.authority.pem, SERVER_NAME, leaf.certificate_pem, leaf.key_pem)

    def listen(
        self,
        *,
        tls: ServerTls | None = None,
        site: Site | None = None,
        on_connection: Callable[[Http3Connection], None] = lambda connection: None,
        address: Address = SERVER,
        **kwargs: Any,
    ) -> ServerEndpoint:
        """A server at `address`."""
        server = ServerEndpoint(
            reactor=self.reactor,
            tls=tls or self.server_tls(),
            site=site,
            on_connection=on_connection,
            **kwargs,
        )
        server.start(MemoryCarrier(self, address, server.datagram_received, server.batch_done))
        return server

    def connect(
        self,
        *,
        tls: ClientTls | None = None,
        timeout: float = 10.0,
        address: Address = SERVER,
        **kwargs: Any,
    ) -> Deferred[Http3Connection]:
        """A client with an address of its own connects."""
        client = ClientEndpoint(
            reactor=self.reactor, tls=tls or self.client_tls(), timeout=timeout, **kwargs
        )
        own = ("198.51.100.1", 40000 + self._next_client)
        self._next_client += 1
        carrier = MemoryCarrier(self, own, client.datagram_received, client.batch_done)
        return client.connect(carrier, address)

    # Time.

    def step(self) -> None:
        """Go to the next thing that is due, and do it."""
        due = min(call.getTime() for call in self.clock.getDelayedCalls())
        forward = max(0.0, due - self.clock.seconds())
        self._standing = 0 if forward else self._standing + 1
        assert self._standing < 100_000, "time stands still: something calls itself for ever"
        self.clock.advance(forward)

    def run(self, waiting: Deferred[T], timeout: float = 60.0) -> T:
        """Let time pass until the Deferred fires; return its result or raise."""
        results: list[Any] = []
        waiting.addBoth(results.append)
        self.until(lambda: bool(results), timeout)
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return cast(T, results[0])

    def until(self, done: Callable[[], bool], timeout: float = 60.0) -> None:
        """Let time pass until something is so; fail after `timeout` fake seconds."""
        deadline = self.clock.seconds() + timeout
        while not done():
            if not self.clock.getDelayedCalls():
                raise AssertionError("nothing more will happen")
            if self.clock.seconds() > deadline:
                raise AssertionError(f"not so after {timeout} s")
            self.step()

    def pass_time(self, seconds: float) -> None:
        """Let this much time pass."""
        end = self.clock.seconds() + seconds
        while True:
            calls = [call.getTime() for call in self.clock.getDelayedCalls()]
            if not calls or min(calls) > end:
                break
            self.step()
        self.clock.advance(max(0.0, end - self.clock.seconds()))
