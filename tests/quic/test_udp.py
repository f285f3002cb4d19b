"""One UDP socket on the reactor: batches, full queues, and what is lost quietly."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import CannotListenError
from twisted.internet.selectreactor import SelectReactor

from edgetainer.quic.carriers import Address
from edgetainer.quic.offload import MAX_SEGMENTS, Offload
from edgetainer.quic.sockets import (
    IP_MTU_DISCOVER,
    PMTUDISC_PROBE,
    enlarge_buffers,
    open_socket,
)
from edgetainer.quic.udp import QUEUE_BYTES, READ_DATAGRAMS, UdpCarrier

reactor: Any = global_reactor

PLAIN = Offload(segment=False, merge=False)

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as _socket:
    KERNEL = Offload.enable(_socket)

segmenting = pytest.mark.skipif(not KERNEL.segment, reason="no UDP_SEGMENT in this kernel")


class End:
    """A carrier, and everything that it told of."""

    def __init__(self, reactor: Any = reactor, interface: str = "127.0.0.1", **kwargs: Any) -> None:
        self.received: list[tuple[bytes, Address]] = []
        self.batches: list[int] = []
        self._wanted: tuple[int, Deferred[None]] | None = None
        kwargs.setdefault("port", 0)
        self.carrier = UdpCarrier(
            reactor,
            lambda data, address: self.received.append((data, address)),
            batch_done=self._batch_done,
            interface=interface,
            **kwargs,
        )

    def _batch_done(self) -> None:
        self.batches.append(len(self.received))
        if self._wanted is not None and len(self.received) >= self._wanted[0]:
            wanted, self._wanted = self._wanted, None
            wanted[1].callback(None)

    async def wait(self, count: int) -> list[bytes]:
        """The first datagrams, once so many have arrived."""
        if len(self.received) < count:
            arrived: Deferred[None] = Deferred()
            self._wanted = (count, arrived)
            await arrived.addTimeout(60, reactor)
        return [data for data, _ in self.received]

    @property
    def socket(self) -> socket.socket:
        return self.carrier._socket


def numbered(count: int, size: int) -> list[bytes]:
    return [number.to_bytes(2, "big") * (size // 2) for number in range(count)]


@pytest.mark.parametrize("offload", [None, PLAIN, Offload(KERNEL.segment, merge=False)])
@pytest.mark.parametrize("interface", ["127.0.0.1", "::1"])
@pytest_twisted.ensureDeferred
async def test_bursts_arrive_whole_in_order_and_with_their_sender(
    interface: str, offload: Offload | None
) -> None:
    one, two = End(interface=interface, offload=offload), End(interface=interface, offload=offload)
    # A burst of full datagrams with a short end, twice, as a packet builder leaves
    # it, then larger ones: the search for the path's MTU has found more.
    sent = [*numbered(100, 1200), b"end", *numbered(10, 1200), b"", *numbered(50, 8000)]
    one.carrier.send_many([(data, two.carrier.address) for data in sent])
    assert await two.wait(len(sent)) == sent
    assert {address for _, address in two.received} == {one.carrier.address}
    assert one.carrier.segments is (offload is not PLAIN and KERNEL.segment)
    await one.carrier.close()
    await two.carrier.close()


@segmenting
@pytest_twisted.ensureDeferred
async def test_runs_leave_in_one_call_and_come_in_one_batch() -> None:
    calls: list[int] = []

    class Counting(socket.socket):
        def sendmsg(self, buffers: Any, *args: Any) -> int:
            calls.append(len(list(buffers)))
            return super().sendmsg(buffers, *args)

    one, two = End(make=with_class(Counting)), End()
    one.carrier.send_many([(data, two.carrier.address) for data in numbered(50, 1200)])
    await two.wait(50)
    assert calls == [50]
    assert two.batches == [50], "one end of a batch for all of them"
    await one.carrier.close()
    await two.carrier.close()


@pytest_twisted.ensureDeferred
async def test_a_turn_of_reading_is_bounded() -> None:
    one, two = End(), End(offload=PLAIN)
    count = 3 * READ_DATAGRAMS
    one.carrier.send_many([(data, two.carrier.address) for data in numbered(count, 100)])
    await two.wait(count)
    assert len(two.batches) >= 3, "others had their turn between"
    await one.carrier.close()
    await two.carrier.close()


@segmenting
@pytest_twisted.ensureDeferred
async def test_a_socket_that_cannot_segment_sends_singly_from_then_on() -> None:
    def without_checksums(interface: str, port: int) -> socket.socket:
        # Segmentation needs checksums to fill in; the kernel refuses it without.
        sock = open_socket(interface, port)
        sock.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
        return sock

    one, two = End(make=without_checksums), End()
    assert one.carrier.segments
    sent = numbered(70, 1200)
    one.carrier.send_many([(data, two.carrier.address) for data in sent])
    assert not one.carrier.segments
    assert await two.wait(70) == sent, "not one was lost, not one came twice"
    one.carrier.send_many([(data, two.carrier.address) for data in sent])
    assert await two.wait(140) == sent + sent
    await one.carrier.close()
    await two.carrier.close()


@pytest_twisted.ensureDeferred
async def test_datagrams_that_are_too_large_are_lost_and_cost_no_offload() -> None:
    class SmallLink(socket.socket):
        """An interface that carries 1,400 bytes; loopback carries all there is."""

        def sendmsg(self, buffers: Any, *args: Any) -> int:
            if len(buffers[0]) > 1400:
                raise OSError(errno.EINVAL, "the segments do not fit")
            return super().sendmsg(buffers, *args)

        def sendto(self, data: Any, *args: Any) -> int:
            if len(data) > 1400:
                raise OSError(errno.EMSGSIZE, "too long")
            return super().sendto(data, *args)

    one, two = End(make=with_class(SmallLink)), End()
    there = two.carrier.address
    large = [(data, there) for data in (*numbered(2, 1452), b"short end")]
    one.carrier.send_many(large + [(data, there) for data in numbered(2, 1200)])
    assert one.carrier.segments is KERNEL.segment
    assert await two.wait(3) == [b"short end", *numbered(2, 1200)]
    await one.carrier.close()
    await two.carrier.close()


@pytest.mark.parametrize(
    ("size", "host"),
    [
        (65_536, "127.0.0.1"),  # More than any interface carries.
        (100, "240.0.0.1"),  # No route: the network is away.
        (100, "255.255.255.255"),  # Refused by the system before it is sent.
        (100, "::1"),  # Of the other family.
    ],
)
@pytest.mark.parametrize("count", [1, 3])
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_sent_is_lost_without_a_word(size: int, host: str, count: int) -> None:
    end, other = End(), End()
    end.carrier.send_many([(bytes(size), (host, 9))] * count)
    assert end.carrier.queued == 0
    end.carrier.send(b"still there", other.carrier.address)
    assert await other.wait(1) == [b"still there"]
    await end.carrier.close()
    await other.carrier.close()


def with_class(kind: type[socket.socket]) -> Callable[[str, int], socket.socket]:
    """Open sockets as ever, with this class around them."""

    def make(interface: str, port: int) -> socket.socket:
        return kind(fileno=open_socket(interface, port).detach())

    return make


class Full(socket.socket):
    """A socket whose send buffer is full while `full` is set.

    On loopback the kernel's never is: what is sent has arrived.
    """

    full = False

    def sendmsg(self, *args: Any) -> int:
        if Full.full:
            raise BlockingIOError(errno.EAGAIN, "full")
        return super().sendmsg(*args)

    def sendto(self, *args: Any) -> int:
        if Full.full:
            raise BlockingIOError(errno.EAGAIN, "full")
        return super().sendto(*args)


@contextmanager
def full() -> Iterator[None]:
    Full.full = True
    try:
        yield
    finally:
        Full.full = False


@pytest.mark.parametrize("offload", [None, PLAIN])
@pytest_twisted.ensureDeferred
async def test_a_full_socket_keeps_what_waits_and_its_order(offload: Offload | None) -> None:
    one, two = End(make=with_class(Full), offload=offload), End()
    there = two.carrier.address
    with full():
        one.carrier.send_many([(data, there) for data in numbered(80, 1000)])
        one.carrier.doWrite()  # The system was mistaken: still no room.
        assert one.carrier.queued == 80_000
    one.carrier.send(b"last", there)
    assert two.received == [], "nothing overtakes what waits"
    assert await two.wait(81) == [*numbered(80, 1000), b"last"]
    assert one.carrier.queued == 0
    await one.carrier.close()
    await two.carrier.close()


@pytest_twisted.ensureDeferred
async def test_a_queue_that_is_too_long_loses_its_oldest() -> None:
    one, two = End(make=with_class(Full)), End()
    there = two.carrier.address
    fit = QUEUE_BYTES // 1024
    with full():
        for data in numbered(fit + 30, 1024):
            one.carrier.send(data, there)
        assert one.carrier.queued == QUEUE_BYTES
        # Let it go in pieces that the receiver's buffer holds.
        one.carrier._queue = type(one.carrier._queue)(list(one.carrier._queue)[:40])
        one.carrier._queued = 40 * 1024
    assert await two.wait(40) == numbered(70, 1024)[30:]
    await one.carrier.close()
    await two.carrier.close()


@pytest_twisted.ensureDeferred
async def test_ipv4_peers_reach_a_socket_for_everything() -> None:
    server, client = End(interface="::"), End()
    port = server.carrier.address[1]
    client.carrier.send(b"hello", ("127.0.0.1", port))
    assert await server.wait(1) == [b"hello"]
    mapped = ("::ffff:127.0.0.1", client.carrier.address[1])
    assert server.received[0][1] == mapped
    server.carrier.send_many([(data, mapped) for data in numbered(MAX_SEGMENTS + 1, 1200)])
    assert await client.wait(MAX_SEGMENTS + 1) == numbered(MAX_SEGMENTS + 1, 1200)
    assert client.received[0][1] == ("127.0.0.1", port)
    await server.carrier.close()
    await client.carrier.close()


@pytest_twisted.ensureDeferred
async def test_our_own_mistakes_cost_one_datagram_and_not_the_socket(
    logged_failures: list[str],
) -> None:
    one, two = End(), End()
    told: list[str] = []

    def taken(data: bytes, address: Address) -> None:
        if data == b"bad":
            raise RuntimeError("a mistake of ours")
        two.received.append((data, address))

    def ended() -> None:
        End._batch_done(two)
        if not told:
            told.append("once")
            raise RuntimeError("another mistake of ours")

    two.carrier._received, two.carrier._batch_done = taken, ended
    one.carrier.send_many([(data, two.carrier.address) for data in (b"one", b"bad", b"two")])
    assert await two.wait(2) == [b"one", b"two"]
    one.carrier.send(b"three", two.carrier.address)
    assert await two.wait(3) == [b"one", b"two", b"three"]
    assert len(logged_failures) == 2
    logged_failures.clear()
    await one.carrier.close()
    await two.carrier.close()


@pytest_twisted.ensureDeferred
async def test_the_port_is_free_once_closing_has_fired() -> None:
    end = End()
    port = end.carrier.address[1]
    with pytest.raises(CannotListenError):
        End(port=port)
    await end.carrier.close()
    await end.carrier.close()
    end.carrier.send(b"too late", ("127.0.0.1", port))
    again = End(port=port)
    assert again.carrier.address == ("127.0.0.1", port)
    await again.carrier.close()


@pytest_twisted.ensureDeferred
async def test_closing_in_the_middle_of_a_batch_ends_it() -> None:
    one, two = End(), End(offload=PLAIN)

    def taken(data: bytes, address: Address) -> None:
        two.received.append((data, address))
        two.carrier.close()

    two.carrier._received = taken
    one.carrier.send_many([(data, two.carrier.address) for data in numbered(3, 100)])
    assert await two.wait(1) == numbered(1, 100)
    assert two.carrier.fileno() == -1
    await one.carrier.close()


def test_sockets_never_fragment_and_have_room_for_bursts() -> None:
    with open_socket("127.0.0.1", 0) as sock:
        assert sock.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER) == PMTUDISC_PROBE
        default = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        got = enlarge_buffers(sock, 2 * default)
        assert default // 2 <= got <= 2 * default
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= default
    assert sock.fileno() == -1


@pytest.mark.parametrize("kind", [EPollReactor, SelectReactor, AsyncioSelectorReactor])
def test_every_reactor_reads_and_writes(kind: type[Any]) -> None:
    loop = asyncio.new_event_loop()
    own = kind(loop) if kind is AsyncioSelectorReactor else kind()
    one, two = End(own, make=with_class(Full)), End(own)
    there = two.carrier.address
    with full():
        one.carrier.send_many([(data, there) for data in numbered(40, 1200)])
    for _ in range(200):
        if len(two.received) == 40:
            break
        own.iterate(0.05)
    assert [data for data, _ in two.received] == numbered(40, 1200)
    assert one.carrier.queued == 0
    one.carrier.close()
    own.iterate(0)
    own.disconnectAll()
    assert one.carrier not in own.getReaders() + own.getWriters()
    loop.close()
