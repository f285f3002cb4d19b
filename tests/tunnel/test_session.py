from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory

from edgetainer.errors import EdgetainerError
from edgetainer.quic.crediting import Limits
from edgetainer.quic.schedule import Priority
from edgetainer.tunnel.limits import MAX_CHANNELS
from edgetainer.tunnel.messages import ControlTarget, ExecTarget, Target, TcpTarget, TerminalTarget
from edgetainer.tunnel.session import Session
from tests.world import Echo, World

from .recorder import HalfRecorder, Recorder

ECHO = TcpTarget("echo", 80)


def failure_of(world: World, waiting: Any) -> str:
    with pytest.raises(EdgetainerError) as caught:
        world.run(waiting)
    return caught.value.code


def test_a_channel_is_an_ordinary_connection() -> None:
    world, heard = World(), Recorder()
    world.online(doors={"echo": Echo})
    assert world.run(world.open(ECHO, heard)) is heard
    heard.transport.write(b"over the wire and back")
    world.until(lambda: heard.data == b"over the wire and back")
    session = world.switchboard.session("dev-1")
    assert session.channels == 2  # with control
    heard.transport.loseConnection()
    world.until(lambda: session.channels == 1)
    assert heard.lost is not None


def test_a_door_that_stays_shut_says_why() -> None:
    world = World()
    device = world.online()
    assert failure_of(world, world.open(TcpTarget("db", 5432), Recorder())) == "service_not_exposed"
    assert device.doors.asked == [TcpTarget("db", 5432)]
    world.until(lambda: world.switchboard.session("dev-1").channels == 1)


def test_a_door_that_never_answers_is_given_15_seconds() -> None:
    class Slow:
        async def open(self, target: Target) -> IProtocol:
            return await Deferred()

    world = World()
    world.online(doors=Slow())
    asked_at = world.now
    assert failure_of(world, world.open(ECHO, Recorder())) == "device_timeout"
    assert 14.9 < world.now - asked_at < 15.2
    world.pass_time(5)
    assert world.switchboard.session("dev-1").channels == 1


def test_each_end_of_a_channel_can_finish_speaking_first() -> None:
    inner, outer = HalfRecorder(), HalfRecorder()
    world = World()
    world.online(doors={"echo": lambda: inner})
    world.run(world.open(ECHO, outer))
    outer.transport.write(b"question")
    outer.transport.loseWriteConnection()
    world.until(lambda: inner.read_ended)
    assert inner.data == b"question"
    inner.transport.write(b"answer")
    inner.transport.loseConnection()
    # Both directions are over, so the whole stream is.
    world.until(lambda: outer.lost is not None)
    assert outer.data == b"answer"
    assert outer.lost.check(ConnectionDone)
    assert world.switchboard.session("dev-1").channels == 1


def test_closing_tells_those_who_wait_and_ends_the_channels() -> None:
    world, heard = World(), Recorder()
    device = world.online(doors={"echo": Echo})
    world.run(world.open(ECHO, heard))
    session = world.switchboard.session("dev-1")
    told: list[EdgetainerError] = []
    for _ in range(3):
        session.notify_close().addCallback(told.append)
    session.close(EdgetainerError("protocol_violation", "Enough."))
    session.close(EdgetainerError("session_closed", "Again."))
    assert [error.code for error in told] == ["protocol_violation"] * 3
    assert heard.lost is not None
    session.notify_close().addCallback(told.append)
    assert len(told) == 4
    assert session.channels == 0
    world.until(lambda: not device.connected)
    assert device.told("disconnected") == ["protocol_violation"]


def test_opening_on_a_closed_session_says_why_it_closed() -> None:
    world = World()
    world.online(doors={"echo": Echo})
    session = world.switchboard.session("dev-1")
    endpoint = session.endpoint(ECHO)
    session.close(EdgetainerError("session_replaced"))
    assert failure_of(world, endpoint.connect(Factory.forProtocol(Recorder))) == "session_replaced"


def test_a_channel_that_is_opening_when_the_session_ends_says_why() -> None:
    world = World()
    world.online(doors={"echo": Echo})
    waiting = world.open(ECHO, Recorder())
    world.switchboard.disconnect("dev-1", EdgetainerError("session_replaced"))
    assert failure_of(world, waiting) == "session_replaced"


def test_channels_are_bounded_and_come_free_again() -> None:
    world = World()
    world.online(doors={"echo": Echo})
    session = world.switchboard.session("dev-1")
    opened: list[Recorder] = []
    refused: list[str] = []
    for _ in range(MAX_CHANNELS + 5):
        world.open(ECHO, Recorder()).addCallbacks(
            opened.append, lambda failure: refused.append(failure.value.code)
        )
    # One is control; over the rest the server does not even ask the device.
    assert refused == ["channel_limit"] * 6
    world.until(lambda: len(opened) == MAX_CHANNELS - 1)
    assert session.channels == MAX_CHANNELS
    for protocol in opened[:10]:
        protocol.transport.loseConnection()
    world.until(lambda: session.channels == MAX_CHANNELS - 10)
    world.pass_time(1)  # the device's new limit travels
    again = Recorder()
    world.run(world.open(ECHO, again))
    again.transport.write(b"x")
    world.until(lambda: again.data == b"x")


def test_a_device_may_allow_fewer_channels() -> None:
    world = World()
    connect = world.network.connect
    world.network.connect = partial(connect, limits=Limits(peer_streams=3))
    world.online(doors={"echo": Echo})
    session = world.switchboard.session("dev-1")
    opened = [Recorder(), Recorder()]
    for protocol in opened:
        world.run(world.open(ECHO, protocol))
    assert failure_of(world, world.open(ECHO, Recorder())) == "channel_limit"
    assert session.channels == 3
    opened[0].transport.loseConnection()
    world.until(lambda: session.channels == 2)
    world.pass_time(1)  # the device's new limit travels
    world.run(world.open(ECHO, Recorder()))


def test_nothing_is_opened_before_the_device_has_connected() -> None:
    world = World()
    sessions: list[Session] = []
    admit = world._admit

    def early(session: Session) -> dict[str, Any]:
        sessions.append(session)
        assert failure_of(world, session.endpoint(ECHO).connect(None)) == "device_offline"
        return admit(session)

    world.listener._on_session = early
    world.online(doors={"echo": Echo})
    assert len(sessions) == 1


def test_rings_reach_the_device_in_order() -> None:
    world = World()
    device = world.online()
    world.until(lambda: world.switchboard.session("dev-1")._control is not None)
    for revision in (8, 9, 10):
        world.switchboard.ring("dev-1", revision)
    world.until(lambda: len(device.rings) == 3)
    assert device.rings == [8, 9, 10]


def test_a_ring_before_the_control_channel_is_open_waits_for_it() -> None:
    world = World()
    world.switchboard.on_change.append(lambda who, online: world.switchboard.ring(who, 12))
    device = world.online()
    world.until(lambda: bool(device.rings))
    assert device.rings == [12]


def test_control_is_opened_once_and_never_through_the_doors() -> None:
    world = World()
    device = world.online()
    world.pass_time(1)
    assert failure_of(world, world.open(ControlTarget(), Recorder())) == "channel_refused"
    assert device.doors.asked == []


def test_a_device_that_ends_control_loses_its_session() -> None:
    world = World()
    device = world.online()
    world.pass_time(1)
    device.dialer._link._ears.transport.loseConnection()
    world.until(lambda: bool(device.told("disconnected")))
    world.until(lambda: device.connected)
    assert [online for _, online in world.changes] == [True, False, True]


def test_pinging_makes_the_device_speak() -> None:
    world = World()
    world.online()
    session = world.switchboard.session("dev-1")
    world.pass_time(5)
    before = session.last_received
    session.ping()
    world.pass_time(1)
    assert session.last_received > before
    assert session.peer[0] == "198.51.100.1"
    assert session.opened_at < before


def test_what_this_end_noticed_is_said_in_words() -> None:
    world = World()
    world.online()
    session = world.switchboard.session("dev-1")
    told: list[EdgetainerError] = []
    session.notify_close().addCallback(told.append)
    session.connection.close(0x123, "somebody's mistake")
    assert [error.code for error in told] == ["session_closed"]
    assert "somebody's mistake" in told[0].detail
    assert "0x123" not in told[0].detail


@pytest.mark.parametrize(
    ("target", "priority"),
    [
        (ECHO, Priority.BULK),
        (TerminalTarget(None, 80, 24), Priority.INTERACTIVE),
        (ExecTarget(("true",), None, 5.0), Priority.INTERACTIVE),
    ],
)
def test_both_ends_class_a_channel_by_its_purpose(target: Target, priority: Priority) -> None:
    world, inner, outer = World(), Recorder(), Recorder()

    class Open:
        async def open(self, target: Target) -> IProtocol:
            return inner

    world.online(doors=Open())
    world.run(world.open(target, outer))
    for end in (inner.transport, outer.transport):
        assert end.driver.quic.priority(end.stream_id) is priority
