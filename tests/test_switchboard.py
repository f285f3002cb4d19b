from __future__ import annotations

import random
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.messages import TcpTarget
from tests.tunnel.recorder import Recorder
from tests.world import Echo, World

ECHO = TcpTarget("echo", 80)


def test_knows_who_is_there() -> None:
    world = World()
    world.online("dev-1")
    world.online("dev-2")
    assert world.switchboard.online() == {"dev-1", "dev-2"}
    assert set(world.switchboard.sessions()) == {"dev-1", "dev-2"}
    assert world.switchboard.session("dev-2").device_id == "dev-2"
    with pytest.raises(EdgetainerError) as caught:
        world.switchboard.session("dev-3")
    assert caught.value.code == "device_offline"


def test_reaching_a_device_that_is_away() -> None:
    world = World()
    endpoint_result: list[Any] = []
    world.open(ECHO, Recorder()).addErrback(endpoint_result.append)
    assert endpoint_result[0].value.code == "device_offline"
    world.switchboard.ring("dev-1", 5)
    world.switchboard.disconnect("dev-1", EdgetainerError("session_closed"))


def test_an_endpoint_may_be_kept_over_reconnections() -> None:
    from twisted.internet.protocol import Factory

    world = World()
    endpoint = world.switchboard.endpoint("dev-1", ECHO)
    device = world.online(doors={"echo": Echo})
    for _ in range(2):
        protocol = world.run(endpoint.connect(Factory.forProtocol(Recorder)))
        protocol.transport.write(b"hi")
        world.until(lambda protocol=protocol: protocol.data == b"hi")
        world.switchboard.disconnect("dev-1", EdgetainerError("session_closed"))
        world.until(lambda: not device.connected)
        world.until(lambda: device.connected)


def test_the_newest_session_wins() -> None:
    world, heard = World(), Recorder()
    leaf = world.network.authority.client("dev-1")
    older = world.online(leaf=leaf, doors={"echo": Echo})
    world.run(world.open(ECHO, heard))
    first = world.switchboard.session("dev-1")
    newer = world.online(leaf=leaf, doors={"echo": Echo}, seed=2)
    assert world.switchboard.session("dev-1") is not first
    assert first.closed is not None
    assert first.closed.code == "session_replaced"
    assert heard.lost is not None
    world.until(lambda: bool(older.told("disconnected")))
    assert older.told("disconnected") == ["session_replaced"]
    assert newer.connected
    # It was there all the time.
    assert world.changes == [("dev-1", True)]


def test_a_silent_device_is_offline_within_15_seconds() -> None:
    for seed in range(5):
        world = World(seed=seed)
        world.online()
        world.pass_time(random.Random(seed).uniform(0, 60))
        world.network.up = False
        lost_at = world.now
        world.until(lambda world=world: not world.switchboard.online())
        # It may have been heard up to a keepalive before the link was lost.
        assert 4 <= world.now - lost_at <= 14.5, seed
        assert world.changes[-1] == ("dev-1", False)


def test_devices_that_speak_are_never_asked() -> None:
    world = World()
    world.online()
    pings: list[float] = []
    session = world.switchboard.session("dev-1")
    ask = session.ping
    session.ping = lambda: (pings.append(world.now), ask())  # type: ignore[method-assign]
    world.pass_time(300)
    assert pings == []


def test_a_device_that_lost_its_keepalive_is_asked_and_stays() -> None:
    world = World()
    device = world.online()
    # Its keepalive stops, as if its clock stood still; its QUIC still answers.
    device.dialer._link._timer.cancel()
    device.dialer._link._timer = None
    world.pass_time(120)
    assert world.switchboard.online() == {"dev-1"}


def test_a_listener_that_fails_hides_nothing_from_the_others() -> None:
    world, events = World(), []

    def fails(device_id: str, online: bool) -> None:
        raise ZeroDivisionError

    world.switchboard.on_change.insert(0, fails)
    globalLogPublisher.addObserver(events.append)
    try:
        world.online()
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert world.changes == [("dev-1", True)]
    assert any("log_failure" in event for event in events)


def test_a_session_that_is_over_is_not_taken_on() -> None:
    world = World()
    world.online()
    session = world.switchboard.session("dev-1")
    session.close(EdgetainerError("session_closed"))
    world.switchboard.add(session)
    assert world.switchboard.online() == frozenset()


def test_stopping_closes_all_and_they_come_back_later() -> None:
    world = World()
    devices = [world.online(f"dev-{n}", seed=n) for n in range(3)]
    world.switchboard.stop()
    assert world.switchboard.online() == frozenset()
    world.until(lambda: all(device.told("disconnected") for device in devices))
    assert [device.told("disconnected") for device in devices] == [["unavailable"]] * 3
    world.until(lambda: len(world.switchboard.online()) == 3)
