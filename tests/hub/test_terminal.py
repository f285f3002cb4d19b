"""A terminal from the browser's socket to the device's channel and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from edgetainer.domain.access import Principal
from edgetainer.errors import EdgetainerError
from edgetainer.hub.protocol import HubResource
from edgetainer.hub.socket import RECHECK_S
from edgetainer.hub.terminal import HIGH, INPUT_BYTES, LOW, TerminalSocket
from edgetainer.services.terminals import Terminal
from edgetainer.services.tickets import Tickets
from edgetainer.tunnel.messages import (
    Exit,
    Frame,
    FrameDecoder,
    FrameType,
    Resize,
    TerminalTarget,
    encode_frame,
)
from tests.hub.support import OPERATOR, Browser, browse

ORIGIN = "https://console.example.com"
TARGET = TerminalTarget(container="web", columns=80, rows=24)


class Channel(StringTransport):
    """The device's end of the channel, in memory."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    def frames(self) -> list[Frame]:
        decoder = FrameDecoder()
        decoder.push(self.value())
        self.clear()
        return list(iter(decoder.pull, None))


class Terminals:
    """Stands where `services.terminals` does; its own tests tell of permissions."""

    def __init__(self, clock: Clock) -> None:
        self.tickets: Tickets[Terminal] = Tickets(clock=clock, lifetime_s=30)
        self.channels: list[Channel] = []
        self.protocols: list[Any] = []
        self.ends: list[dict[str, Any]] = []
        self.refusal: EdgetainerError | None = None
        self.pending: list[Deferred[None]] | None = None
        self.may_stay = True
        self.early = b""

    def issue(self, principal: Principal = OPERATOR) -> str:
        terminal = Terminal("t1", principal, "d1", TARGET, "192.0.2.1")
        return self.tickets.issue(terminal, owner=principal.user_id)

    async def redeem(self, ticket: str) -> Terminal:
        return self.tickets.redeem(ticket)

    async def check(self, terminal: Terminal) -> None:
        if not self.may_stay:
            raise EdgetainerError("forbidden")

    async def connect(self, terminal: Terminal, factory: Any) -> Any:
        if self.refusal is not None:
            raise self.refusal
        if self.pending is not None:
            waiting: Deferred[None] = Deferred()
            self.pending.append(waiting)
            await waiting
        protocol = factory.buildProtocol(None)
        channel = Channel()
        self.channels.append(channel)
        self.protocols.append(protocol)
        protocol.makeConnection(channel)
        if self.early:
            protocol.dataReceived(self.early)
        return protocol

    async def closed(self, terminal: Terminal, **how: Any) -> None:
        self.ends.append(how)


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.terminals = Terminals(self.clock)
        self.sockets: list[TerminalSocket] = []
        root = Resource()
        root.putChild(
            b"ws",
            HubResource(reactor=reactor, origins=[ORIGIN], live=self._build, terminal=self._build),
        )
        self.port = reactor.listenTCP(0, Site(root, reactor=reactor), interface="127.0.0.1")

    def _build(self) -> TerminalSocket:
        self.sockets.append(
            TerminalSocket(clock=self.clock, origins=frozenset({ORIGIN}), terminals=self.terminals)
        )
        return self.sockets[-1]

    @property
    def channel(self) -> Channel:
        return self.terminals.channels[-1]

    def shows(self, data: bytes) -> None:
        """The device sends output."""
        for start in range(0, len(data), 65536):
            piece = encode_frame(FrameType.DATA, data[start : start + 65536])
            self.terminals.protocols[-1].dataReceived(piece)

    async def browse(self) -> Browser:
        number = self.port.getHost().port
        return await browse(number, "/ws/term", origin=ORIGIN, host="console.example.com")

    async def open(self) -> Browser:
        browser = await self.browse()
        browser.say({"ticket": self.terminals.issue()})
        assert (await browser.told("ready"))["id"] == "t1"
        return browser

    async def ended(self) -> dict[str, Any]:
        for _ in range(500):
            if self.terminals.ends:
                return self.terminals.ends[-1]
            await deferLater(reactor, 0.01)
        raise AssertionError("the end was not written down")

    async def sees(self, condition: Any) -> None:
        for _ in range(500):
            if condition():
                return
            await deferLater(reactor, 0.01)
        raise AssertionError("it did not happen")


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    it = World()
    try:
        yield it
    finally:
        for socket in it.sockets:
            if socket.transport is not None and socket.transport.connected:
                socket.transport.abortConnection()
        await it.port.stopListening()


def output(browser: Browser) -> bytes:
    return b"".join(message for message in browser.messages if isinstance(message, bytes))


@pytest_twisted.ensureDeferred
async def test_bytes_go_both_ways_and_the_end_is_told_and_written_down() -> None:
    async with world() as it:
        browser = await it.open()
        browser.sendMessage(b"ls\r\x03\x00\xff", isBinary=True)
        browser.say({"type": "resize", "columns": 120, "rows": 40})
        await it.sees(lambda: len(it.channel.value()) > 20)
        typed, resized = it.channel.frames()
        assert typed == (FrameType.DATA, b"ls\r\x03\x00\xff")
        assert Resize.parse(resized.payload) == Resize(120, 40)
        it.shows(b"\x1b[31mfile\x1b[0m\r\n")
        await browser.until(lambda: output(browser) == b"\x1b[31mfile\x1b[0m\r\n")
        it.clock.advance(1)
        it.terminals.protocols[-1].dataReceived(Exit(3, None).encode())
        exit_ = await browser.told("exit")
        assert exit_ == {"type": "exit", "code": 3, "signal": None}
        assert await browser.ended() == 1000
        end = await it.ended()
        assert end == {"seconds": 1.0, "typed": 6, "shown": 15, "why": "exit"}


@pytest_twisted.ensureDeferred
async def test_output_waits_for_the_browser_and_goes_on() -> None:
    async with world() as it:
        browser = await it.open()
        it.shows(b"y\n" * (HIGH // 2 - 1))
        assert it.channel.producerState == "producing"
        it.shows(b"y\n")
        assert it.channel.producerState == "paused"
        await browser.until(lambda: len(output(browser)) == HIGH)
        browser.say({"type": "ack", "bytes": HIGH - LOW})
        browser.say({"type": "ack", "bytes": 0})
        browser.say({"type": "resize", "columns": 1, "rows": 1})
        await it.sees(it.channel.value)
        assert it.channel.producerState == "paused"
        browser.say({"type": "ack", "bytes": 1})
        await it.sees(lambda: it.channel.producerState == "producing")


@pytest_twisted.ensureDeferred
async def test_input_waits_for_the_device() -> None:
    async with world() as it:
        browser = await it.open()
        socket = it.sockets[-1]
        it.terminals.protocols[-1].pauseProducing()
        browser.sendMessage(b"later", isBinary=True)
        await deferLater(reactor, 0.1)
        assert it.channel.frames() == []
        it.terminals.protocols[-1].resumeProducing()
        await it.sees(it.channel.value)
        assert it.channel.frames() == [(FrameType.DATA, b"later")]
        assert socket.transport.connected


@pytest_twisted.ensureDeferred
async def test_the_browser_is_heard_while_the_device_takes_no_input() -> None:
    async with world() as it:
        browser = await it.open()
        it.shows(b"y\n" * (HIGH // 2))
        await browser.until(lambda: len(output(browser)) == HIGH)
        it.terminals.protocols[-1].pauseProducing()
        browser.sendMessage(b"a" * 100_000, isBinary=True)
        for columns in (90, 100):
            browser.say({"type": "resize", "columns": columns, "rows": 30})
        browser.sendMessage(b"b", isBinary=True)
        browser.say({"type": "ack", "bytes": HIGH})
        await it.sees(lambda: it.channel.producerState == "producing")
        assert it.channel.frames() == []
        it.terminals.protocols[-1].resumeProducing()
        resized, *typed = it.channel.frames()
        assert Resize.parse(resized.payload) == Resize(100, 30)
        assert b"".join(frame.payload for frame in typed) == b"a" * 100_000 + b"b"


@pytest_twisted.ensureDeferred
async def test_a_device_that_fills_up_again_gets_no_more() -> None:
    async with world() as it:
        browser = await it.open()
        protocol = it.terminals.protocols[-1]
        protocol.pauseProducing()
        for piece in (b"one", b"two"):
            browser.sendMessage(piece, isBinary=True)
        browser.say({"type": "resize", "columns": 100, "rows": 30})
        await it.sees(lambda: protocol._size is not None)
        written = it.channel.write

        def fill(data: bytes) -> None:
            written(data)
            protocol.pauseProducing()

        it.channel.write = fill  # type: ignore[method-assign]
        protocol.resumeProducing()
        assert [frame.type for frame in it.channel.frames()] == [FrameType.RESIZE]
        for piece in (b"one", b"two"):
            protocol.resumeProducing()
            assert it.channel.frames() == [(FrameType.DATA, piece)]


@pytest_twisted.ensureDeferred
async def test_more_input_than_can_wait_ends_the_terminal_with_its_reason() -> None:
    async with world() as it:
        browser = await it.open()
        it.terminals.protocols[-1].pauseProducing()
        piece = b"x" * (256 * 1024)
        for _ in range(INPUT_BYTES // len(piece)):
            browser.sendMessage(piece, isBinary=True)
        browser.say({"type": "resize", "columns": 100, "rows": 30})
        await it.sees(lambda: it.terminals.protocols[-1]._size is not None)
        assert not browser.has_ended
        browser.sendMessage(b"y", isBinary=True)
        assert (await browser.told("error"))["code"] == "input_limit"
        assert await browser.ended() == 4413
        assert (await it.ended())["why"] == "input_limit"


@pytest_twisted.ensureDeferred
async def test_nothing_is_opened_for_who_left_while_the_ticket_was_looked_at() -> None:
    async with world() as it:
        looked_at: Deferred[None] = Deferred()
        redeem = it.terminals.redeem

        async def slow(ticket: str) -> Terminal:
            await looked_at
            return await redeem(ticket)

        it.terminals.redeem = slow  # type: ignore[method-assign]
        browser = await it.browse()
        browser.say({"ticket": it.terminals.issue()})
        socket = it.sockets[-1]
        await it.sees(lambda: socket._work is not None)
        browser.transport.abortConnection()
        await it.sees(lambda: socket._gone)
        looked_at.callback(None)
        assert it.terminals.channels == []


@pytest_twisted.ensureDeferred
async def test_a_large_paste_is_cut_into_frames() -> None:
    async with world() as it:
        browser = await it.open()
        paste = bytes(range(256)) * 800
        browser.sendMessage(paste, isBinary=True)
        await it.sees(lambda: len(it.channel.value()) > len(paste))
        assert b"".join(frame.payload for frame in it.channel.frames()) == paste


@pytest_twisted.ensureDeferred
async def test_a_browser_that_leaves_ends_the_terminal() -> None:
    async with world() as it:
        browser = await it.open()
        browser.transport.abortConnection()
        assert (await it.ended())["why"] == "left"
        assert it.channel.aborted


@pytest_twisted.ensureDeferred
async def test_a_browser_that_leaves_while_the_device_is_asked_leaves_nothing() -> None:
    async with world() as it:
        it.terminals.pending = []
        browser = await it.browse()
        browser.say({"ticket": it.terminals.issue()})
        await it.sees(lambda: it.terminals.pending)
        browser.transport.abortConnection()
        await it.sees(lambda: it.terminals.pending[0].called)
        assert it.terminals.channels == []
        assert it.terminals.ends == []


@pytest_twisted.ensureDeferred
async def test_output_that_comes_with_the_acceptance_follows_ready() -> None:
    async with world() as it:
        it.terminals.early = encode_frame(FrameType.DATA, b"$ ") + Exit(None, "KILL").encode()
        browser = await it.browse()
        browser.say({"ticket": it.terminals.issue()})
        assert await browser.ended() == 1000
        kinds = [m if isinstance(m, bytes) else m["type"] for m in browser.messages]
        assert kinds == ["ready", b"$ ", "exit"]
        assert (await it.ended())["why"] == "exit"


@pytest.mark.parametrize("code", ["device_offline", "container_not_found", "device_timeout"])
@pytest_twisted.ensureDeferred
async def test_a_device_that_refuses_is_told_with_its_reason(code: str) -> None:
    async with world() as it:
        it.terminals.refusal = EdgetainerError(code)
        browser = await it.browse()
        browser.say({"ticket": it.terminals.issue()})
        assert await browser.ended() == 4000 + it.terminals.refusal.status
        assert (await browser.told("error"))["code"] == code


@pytest_twisted.ensureDeferred
async def test_a_device_that_is_lost_is_told() -> None:
    async with world() as it:
        browser = await it.open()
        it.terminals.protocols[-1].connectionLost(Failure(ConnectionLost()))
        assert (await browser.told("error"))["code"] == "session_closed"
        assert await browser.ended() == 4503
        assert (await it.ended())["why"] == "session_closed"


@pytest_twisted.ensureDeferred
async def test_losing_the_right_ends_the_terminal() -> None:
    async with world() as it:
        browser = await it.open()
        it.terminals.may_stay = False
        it.clock.advance(RECHECK_S)
        assert await browser.ended() == 4403
        assert it.channel.aborted
        assert (await it.ended())["why"] == "forbidden"


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ack", "bytes": 1},
        {"type": "ack", "bytes": -1},
        {"type": "ack", "bytes": "1"},
        {"type": "resize", "columns": 0, "rows": 24},
        {"type": "resize", "columns": 80},
        {"type": "resize", "columns": 80, "rows": 10_000},
        {"type": "nonsense"},
        {},
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_wrong_message_ends_the_terminal(message: dict[str, Any]) -> None:
    async with world() as it:
        browser = await it.open()
        browser.say(message)
        assert await browser.ended() == 4400
        assert it.channel.aborted
