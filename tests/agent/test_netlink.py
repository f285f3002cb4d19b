from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from edgetainer_agent.netlink import SETTLE_S, NetworkWatch, open_netlink, tells_of_change

reactor: Any = global_reactor

NEWLINK, NEWADDR, DELROUTE, NEWNEIGH = 16, 20, 25, 28


def message(kind: int, body: bytes = b"") -> bytes:
    padding = bytes(-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + padding


def test_addresses_links_and_routes_matter_and_neighbours_do_not() -> None:
    for kind in (NEWLINK, NEWADDR, DELROUTE):
        assert tells_of_change(message(NEWNEIGH, b"12345") + message(kind, b"x"))
    assert not tells_of_change(message(NEWNEIGH) * 3)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x10", message(NEWNEIGH)[:-1], struct.pack("=IHHII", 0, NEWNEIGH, 0, 0, 0) * 2,
     struct.pack("=IHHII", 2**32 - 1, NEWNEIGH, 0, 0, 0)],
)  # fmt: skip
def test_what_makes_no_sense_tells_nothing_and_ends(data: bytes) -> None:
    assert not tells_of_change(data)


class Kernel:
    """The other end of a watch's socket."""

    def __init__(self, port: int = 0) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)
        self.ours, self.port = ours, port
        self.error: OSError | None = None

    def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return self.ours.recv(size), (self.port, 0)

    def fileno(self) -> int:
        return self.ours.fileno()

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


class Readers(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)


class Watched:
    def __init__(self, **kernel: Any) -> None:
        self.kernel, self.clock, self.calls = Kernel(**kernel), Readers(), 0
        self.watch = NetworkWatch(
            reactor=self.clock, changed=self._changed, open_socket=lambda: self.kernel
        )
        self.watch.start()

    def _changed(self) -> None:
        self.calls += 1

    def news(self, *messages: bytes) -> None:
        for data in messages:
            self.kernel.theirs.send(data)
        self.watch.doRead()


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.watch.stop()
    assert watched.clock.readers == []
    assert watched.clock.getDelayedCalls() == []


def test_a_burst_of_news_is_one_call_a_moment_later(watched: Watched) -> None:
    watched.news(*[message(NEWLINK)] * 10, message(NEWADDR))
    assert watched.calls == 0
    watched.clock.advance(SETTLE_S / 2)
    watched.news(message(NEWADDR))
    watched.clock.advance(SETTLE_S / 2)
    assert watched.calls == 1
    watched.clock.advance(60)
    assert watched.calls == 1
    watched.news(message(DELROUTE))
    watched.clock.advance(SETTLE_S)
    assert watched.calls == 2


def test_a_flood_of_news_leaves_the_reactor_its_turn(watched: Watched) -> None:
    watched.kernel.theirs.setblocking(False)
    watched.kernel.recvfrom = lambda size: (message(NEWADDR), (0, 0))  # type: ignore[method-assign]
    watched.watch.doRead()
    watched.clock.advance(SETTLE_S)
    assert watched.calls == 1


def test_lost_news_are_news(watched: Watched) -> None:
    watched.kernel.error = OSError(105, "No buffer space available")
    watched.watch.doRead()
    watched.clock.advance(SETTLE_S)
    assert watched.calls == 1


def test_other_processes_are_not_the_kernel() -> None:
    watched = Watched(port=4711)
    watched.news(message(NEWADDR))
    watched.clock.advance(1)
    assert watched.calls == 0
    watched.watch.stop()


def test_a_socket_that_fails_ends_the_watch_and_nothing_else(watched: Watched) -> None:
    watched.kernel.error = OSError(5, "Input/output error")
    with pytest.raises(OSError, match="Input/output"):
        watched.watch.doRead()
    watched.watch.connectionLost(Failure(OSError(5, "Input/output error")))
    assert watched.watch.fileno() == -1


def test_without_permission_there_is_no_watch() -> None:
    def refused() -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    watch = NetworkWatch(reactor=Readers(), changed=lambda: None, open_socket=refused)
    watch.start()
    assert watch.fileno() == -1
    watch.stop()


@pytest_twisted.ensureDeferred
async def test_the_real_kernels_messages_are_understood() -> None:
    """Asked for its links it answers with the very messages that announce one."""
    heard: Deferred[None] = Deferred()
    kernel = open_netlink()
    watch = NetworkWatch(
        reactor=reactor,
        changed=lambda: heard.called or heard.callback(None),
        open_socket=lambda: kernel,
    )
    watch.start()
    get_link, request_dump = 18, 0x1 | 0x300
    kernel.sendto(struct.pack("=IHHIIB3x", 20, get_link, request_dump, 1, 0, 0), (0, 0))
    try:
        await heard.addTimeout(60, reactor)
    finally:
        watch.stop()
