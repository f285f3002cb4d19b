"""Stories of the tunnel, in memory: a keystroke, a slow reader, a lost link, a shut door.

Every part between the endpoint and the door is the real one; the clock, the
sockets and the programs at both ends are the test's.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol

from edgetainer.errors import EdgetainerError
from edgetainer.quic.settings import IDLE_TIMEOUT_S
from edgetainer.tunnel.channel import FrameProtocol
from edgetainer.tunnel.messages import (
    ExecTarget,
    Exit,
    FrameType,
    Resize,
    Signal,
    Target,
    TcpTarget,
    TerminalTarget,
)
from tests.tunnel.recorder import HalfRecorder, Recorder
from tests.world import Echo, World

MIB = 1024 * 1024
WEB = TcpTarget("web", 80)


class Shell(FrameProtocol):
    """A program on the device: echoes capitals, notes its size, ends on Ctrl-C."""

    def __init__(self, target: TerminalTarget) -> None:
        self.sizes = [(target.columns, target.rows)]
        self.gone = False

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.DATA:
            self.send_frame(FrameType.DATA, payload.upper())
        elif type is FrameType.RESIZE:
            size = Resize.parse(payload)
            self.sizes.append((size.columns, size.rows))
        elif type is FrameType.SIGNAL:
            self.send(Exit(None, Signal.parse(payload).name))
            self.transport.loseConnection()

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        self.gone = True


class Screen(FrameProtocol):
    """The person's side: what appeared, and how it ended."""

    def __init__(self) -> None:
        self.text = b""
        self.exit: Exit | None = None
        self.lost: Any = None

    def frame_received(self, type: FrameType, payload: bytes) -> None:
        if type is FrameType.DATA:
            self.text += payload
        elif type is FrameType.EXIT:
            self.exit = Exit.parse(payload)

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        self.lost = reason


class Machine:
    """Doors of a device with a shell, an endless page and an echo."""

    def __init__(self) -> None:
        self.shells: list[Shell] = []
        self.pages: list[Fountain] = []

    async def open(self, target: Target) -> IProtocol:
        if isinstance(target, TerminalTarget):
            self.shells.append(Shell(target))
            return self.shells[-1]
        if target == WEB:
            self.pages.append(Fountain(100 * MIB))
            return self.pages[-1]
        if target == TcpTarget("echo", 7):
            return Echo()
        raise EdgetainerError("service_not_exposed", "Only web and echo are exposed.")


class Fountain(Protocol):
    """Writes so many bytes whenever it is let, then ends."""

    BLOCK = bytes(range(256)) * 64

    def __init__(self, size: int) -> None:
        self.size = size
        self.written = 0
        self.paused = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self.paused = False
        while not self.paused and self.written < self.size:
            self.written += len(self.BLOCK)
            self.transport.write(self.BLOCK)
        if self.written >= self.size:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def pauseProducing(self) -> None:
        self.paused = True

    def stopProducing(self) -> None:
        self.paused = True


def code_of(world: World, waiting: Any) -> str:
    with pytest.raises(EdgetainerError) as caught:
        world.run(waiting)
    return caught.value.code


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_a_keystroke_and_its_echo(loss: float) -> None:
    world, machine, screen = World(seed=11, loss=loss, delay=0.04), Machine(), Screen()
    world.online(doors=machine)
    world.run(world.open(TerminalTarget(None, 80, 24), screen))
    [shell] = machine.shells

    for typed in (b"l", b"s", b" ", b"-", b"l"):
        screen.send_frame(FrameType.DATA, typed)
    world.until(lambda: screen.text == b"LS -L")

    screen.send(Resize(132, 43))
    screen.send_frame(FrameType.DATA, b"!")
    world.until(lambda: screen.text.endswith(b"!"))
    assert shell.sizes == [(80, 24), (132, 43)]

    screen.send(Signal("INT"))
    world.until(lambda: screen.lost is not None)
    assert screen.exit == Exit(None, "INT")
    assert isinstance(screen.lost.value, ConnectionDone)
    world.until(lambda: shell.gone)
    world.until(lambda: world.switchboard.session("dev-1").channels == 1)


def test_a_keystroke_is_two_crossings_of_the_link_and_no_more() -> None:
    world, screen = World(delay=0.04), Screen()
    world.online(doors=Machine())
    world.run(world.open(TerminalTarget(None, 80, 24), screen))
    world.pass_time(1)
    typed_at = world.now
    screen.send_frame(FrameType.DATA, b"x")
    world.until(lambda: screen.text == b"X")
    assert world.now - typed_at == pytest.approx(0.08, abs=0.005)


def test_a_person_who_leaves_ends_the_shell() -> None:
    world, machine, screen = World(), Machine(), Screen()
    world.online(doors=machine)
    world.run(world.open(TerminalTarget("web", 80, 24), screen))
    screen.transport.loseConnection()
    world.until(lambda: machine.shells[0].gone)


class Stuck(Recorder):
    """Reads nothing until it is told to."""

    def connectionMade(self) -> None:
        self.transport.pauseProducing()


def test_a_reader_that_never_reads_holds_little_and_delays_nobody() -> None:
    world, machine, stuck = World(seed=5, delay=0.02), Machine(), Stuck()
    world.online(doors=machine)
    world.run(world.open(WEB, stuck))
    world.pass_time(30)
    [page] = machine.pages
    assert stuck.data == b""
    assert page.paused
    # What the page could write is all that both ends can hold of it.
    assert page.written <= 2 * MIB

    heard = Recorder()
    world.run(world.open(TcpTarget("echo", 7), heard))
    asked_at = world.now
    heard.transport.write(b"still quick?")
    world.until(lambda: heard.data == b"still quick?")
    assert world.now - asked_at < 0.1

    stuck.transport.abortConnection()
    world.until(lambda: world.switchboard.session("dev-1").channels == 2)
    written = page.written
    world.pass_time(5)
    assert page.written == written


def test_a_slow_reader_gets_every_byte() -> None:
    world, sent = World(seed=6, delay=0.01, loss=0.01), Fountain(3 * MIB)

    class Slow(HalfRecorder):
        """Reads a little, then rests."""

        digest = hashlib.sha256()
        count = 0

        def dataReceived(self, data: bytes) -> None:
            self.digest.update(data)
            self.count += len(data)
            self.transport.pauseProducing()
            world.network.clock.callLater(0.02, self._on)

        def _on(self) -> None:
            if self.lost is None:
                self.transport.resumeProducing()

    slow = Slow()

    class Page:
        async def open(self, target: Target) -> IProtocol:
            return sent

    world.online(doors=Page())
    world.run(world.open(WEB, slow))
    world.until(lambda: slow.read_ended or slow.lost is not None, 600)
    assert slow.count == 3 * MIB
    assert slow.digest.digest() == hashlib.sha256(Fountain.BLOCK * (3 * MIB // 16384)).digest()


def test_what_was_open_sleeps_through_a_lost_link() -> None:
    world, machine = World(seed=4), Machine()
    device = world.online(doors=machine)
    screen, heard = Screen(), Recorder()
    world.run(world.open(TerminalTarget(None, 80, 24), screen))
    world.run(world.open(TcpTarget("echo", 7), heard))
    world.pass_time(20)

    world.network.up = False
    lost_at = world.now
    heard.transport.write(b"anyone?")
    world.until(lambda: not world.switchboard.online())
    assert world.now - lost_at <= 15
    assert code_of(world, world.open(WEB, Recorder())) == "device_offline"
    world.pass_time(100)
    assert (heard.lost, screen.lost, machine.shells[0].gone) == (None, None, False)

    world.network.up = True
    world.until(lambda: heard.data == b"anyone?", 2.5)
    screen.send_frame(FrameType.DATA, b"ls")
    world.until(lambda: screen.text == b"LS", 0.1)
    world.pass_time(60)
    assert (heard.lost, screen.lost) == (None, None)
    assert device.told("disconnected") == []
    assert world.changes == [("dev-1", True), ("dev-1", False), ("dev-1", True)]


def test_a_link_lost_for_too_long_ends_what_was_open_and_mends_by_itself() -> None:
    world, machine = World(seed=4), Machine()
    device = world.online(doors=machine)
    screen, heard = Screen(), Recorder()
    world.run(world.open(TerminalTarget(None, 80, 24), screen))
    world.run(world.open(TcpTarget("echo", 7), heard))
    world.pass_time(20)

    world.network.up = False
    lost_at = world.now
    heard.transport.write(b"anyone?")
    world.until(lambda: heard.lost is not None and machine.shells[0].gone, 1000)
    # QUIC's idle time-out begins with what was heard last, or with the first that was
    # said after it: a keepalive before or behind.
    assert IDLE_TIMEOUT_S - 10 <= world.now - lost_at <= IDLE_TIMEOUT_S + 10
    assert screen.lost is not None
    assert code_of(world, world.open(WEB, Recorder())) == "device_offline"

    world.network.up = True
    world.until(lambda: device.connected, 120)
    again = Recorder()
    world.run(world.open(TcpTarget("echo", 7), again))
    again.transport.write(b"back")
    world.until(lambda: again.data == b"back")
    assert world.changes == [("dev-1", True), ("dev-1", False), ("dev-1", True)]


def test_a_shut_door_says_so_and_costs_nothing_else() -> None:
    world, heard = World(), Recorder()
    world.online(doors=Machine())
    world.run(world.open(TcpTarget("echo", 7), heard))
    for target in (TcpTarget("db", 5432), TcpTarget("web", 81), ExecTarget(("ls",), None, 5)):
        assert code_of(world, world.open(target, Recorder())) == "service_not_exposed"
    heard.transport.write(b"fine")
    world.until(lambda: heard.data == b"fine")
    world.until(lambda: world.switchboard.session("dev-1").channels == 2)


def test_rings_in_an_outage_are_heard_after_it() -> None:
    world = World()
    device = world.online()
    world.pass_time(1)
    world.network.up = False
    world.switchboard.ring("dev-1", 8)
    world.until(lambda: not world.switchboard.online())
    world.switchboard.ring("dev-1", 9)
    world.network.up = True
    world.until(lambda: device.rings == [8, 9], 2.5)
    assert device.told("disconnected") == []


def test_a_ring_lost_with_the_session_costs_nothing() -> None:
    world, pulled = World(), []
    device = world.online()
    world.pass_time(1)
    device.dialer._on_connected = pulled.append
    world.network.up = False
    world.switchboard.ring("dev-1", 8)
    world.until(lambda: not world.switchboard.online())
    world.switchboard.ring("dev-1", 9)
    world.switchboard.disconnect("dev-1", EdgetainerError("session_closed"))
    world.network.up = True
    world.until(lambda: bool(pulled), 120)
    assert device.rings == []
    # The device pulls upon every connection, and so learns of both.
    assert pulled[0]["revision"] == 7
