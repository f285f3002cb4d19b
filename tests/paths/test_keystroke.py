"""A keystroke from a browser's socket through the hub and the real tunnel, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.hub.terminal import HIGH
from edgetainer.tunnel.channel import FrameProtocol
from edgetainer.tunnel.messages import Exit, FrameType, Resize, Target, TerminalTarget
from tests.hub import test_terminal as hub
from tests.hub.support import Browser
from tests.world import World

KIB = 1024


@implementer(IPushProducer)
class Shell(FrameProtocol):
    """Says back in capitals what it is told; ``yes`` floods until Ctrl-C; ``exit`` ends it."""

    def __init__(self) -> None:
        self.sizes: list[Resize] = []
        self.flooded = 0
        self.flooding = False
        self.lost = False
        self._may_write = True

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.RESIZE:
            self.sizes.append(Resize.parse(payload))
        elif payload == b"yes":
            self.flooding = True
            self._flood()
        elif payload == b"\x03":
            self.flooding = False
            self.send_frame(FrameType.DATA, b"^C$ ")
        elif payload == b"exit":
            self.send(Exit(0, None))
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        else:
            self.send_frame(FrameType.DATA, payload.upper())

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        self.lost = True

    def resumeProducing(self) -> None:
        self._may_write = True
        self._flood()

    def pauseProducing(self) -> None:
        self._may_write = False

    def stopProducing(self) -> None:
        self._may_write = False

    def _flood(self) -> None:
        while self.flooding and self._may_write:
            self.flooded += 16 * KIB
            self.send_frame(FrameType.DATA, b"y\n" * 8 * KIB)


class Shells:
    """The device's doors."""

    def __init__(self) -> None:
        self.opened: list[tuple[Target, Shell]] = []

    async def open(self, target: Target) -> Shell:
        if not isinstance(target, TerminalTarget) or target.container != "web":
            raise EdgetainerError("container_not_found", "There is no such container.")
        self.opened.append((target, Shell()))
        return self.opened[-1][1]


class Path:
    """A browser's socket on loopback; the device on a network in memory."""

    def __init__(self, server: hub.World) -> None:
        self.server = server
        self.tunnel = World(seed=11, delay=0.03, loss=0.01)
        self.shells = Shells()
        self.device = self.tunnel.online("d1", doors=self.shells)
        server.terminals.connect = self.connect  # type: ignore[method-assign]

    async def connect(self, terminal: Any, factory: Any) -> Any:
        endpoint = self.tunnel.switchboard.endpoint(terminal.device_id, terminal.target)
        return await endpoint.connect(factory)

    @property
    def shell(self) -> Shell:
        return self.shells.opened[-1][1]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let both the real sockets and the network in memory go on."""
        for _ in range(1000):
            if condition():
                return
            self.tunnel.pass_time(0.02)
            await deferLater(reactor, 0.005)
        raise AssertionError("it did not happen")

    async def open(self) -> Browser:
        browser = await self.server.browse()
        browser.say({"ticket": self.server.terminals.issue()})
        await self.until(lambda: browser.messages)
        assert browser.messages[0]["type"] == "ready"
        return browser


@asynccontextmanager
async def path() -> AsyncIterator[Path]:
    async with hub.world() as server:
        yield Path(server)


@pytest_twisted.ensureDeferred
async def test_what_is_typed_arrives_and_comes_back() -> None:
    async with path() as it:
        browser = await it.open()
        assert it.shells.opened[0][0] == hub.TARGET
        browser.sendMessage(b"ls", isBinary=True)
        browser.say({"type": "resize", "columns": 132, "rows": 50})
        await it.until(lambda: hub.output(browser) == b"LS")
        await it.until(lambda: it.shell.sizes == [Resize(132, 50)])
        browser.sendMessage(b"exit", isBinary=True)
        await it.until(lambda: browser.has_ended)
        assert browser.messages[-1] == {"type": "exit", "code": 0, "signal": None}
        await it.until(lambda: it.shell.lost)


@pytest_twisted.ensureDeferred
async def test_ctrl_c_gets_through_a_flood_that_nobody_draws() -> None:
    async with path() as it:
        browser = await it.open()
        browser.sendMessage(b"yes", isBinary=True)
        await it.until(lambda: len(hub.output(browser)) >= HIGH)
        for _ in range(50):
            it.tunnel.pass_time(0.1)
            await deferLater(reactor, 0.002)
        stood_at = it.shell.flooded
        # The browser's share, one window under way, the device's unsent bytes.
        assert stood_at - HIGH < 2 * KIB * KIB
        assert len(hub.output(browser)) < HIGH + 128 * KIB
        browser.sendMessage(b"\x03", isBinary=True)
        await it.until(lambda: not it.shell.flooding)
        drawn = 0

        def drawn_to_the_prompt() -> bool:
            nonlocal drawn
            shown = hub.output(browser)
            if len(shown) > drawn:
                browser.say({"type": "ack", "bytes": len(shown) - drawn})
                drawn = len(shown)
            return shown.endswith(b"^C$ ")

        await it.until(drawn_to_the_prompt)
        assert len(hub.output(browser)) == it.shell.flooded + len(b"^C$ ")


@pytest_twisted.ensureDeferred
async def test_closing_the_browser_ends_the_shell() -> None:
    async with path() as it:
        browser = await it.open()
        browser.transport.abortConnection()
        await it.until(lambda: it.shell.lost)


@pytest_twisted.ensureDeferred
async def test_a_device_that_goes_is_told_to_the_browser() -> None:
    async with path() as it:
        browser = await it.open()
        it.device.dialer.stop()
        await it.until(lambda: browser.has_ended)
        assert browser.messages[-1]["code"] == "session_closed"
        assert browser.closed == 4503
