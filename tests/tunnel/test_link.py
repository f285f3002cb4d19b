from __future__ import annotations

import pytest

from edgetainer.errors import EdgetainerError
from edgetainer.tunnel.keepalive import Bounds
from edgetainer.tunnel.profiles import METERED
from tests.world import World


def sent_by(world: World, seconds: float) -> int:
    """How many datagrams the link carries in so much idle time."""
    before = world.network.carried
    world.pass_time(seconds)
    return world.network.carried - before


def test_an_idle_device_says_something_every_ten_seconds_and_no_more() -> None:
    world = World()
    world.online()
    world.pass_time(60)
    # A PING and its acknowledgement, every ten seconds, and their kin.
    assert 12 <= sent_by(world, 60) <= 26


@pytest.mark.parametrize(
    ("asked", "seconds"), [(30, 30.0), (0, 1.0), (10**9, 3600.0), ("x", 10.0), (True, 10.0)]
)
def test_the_server_may_ask_for_another_keepalive_within_bounds(
    asked: object, seconds: float
) -> None:
    from edgetainer.tunnel.link import _keepalive

    assert _keepalive({"keepalive_s": asked}) == seconds


def test_the_reason_reaches_everybody_who_waits_whenever_they_ask() -> None:
    world = World()
    device = world.online()
    link = device.dialer._link
    told: list[EdgetainerError] = []
    link.notify_close().addCallback(told.append)
    world.switchboard.disconnect("dev-1", EdgetainerError("session_replaced"))
    world.until(lambda: bool(told))
    link.notify_close().addCallback(told.append)
    assert [error.code for error in told] == ["session_replaced"] * 2
    link.close(EdgetainerError("session_closed"))
    assert len(told) == 2


@pytest.mark.parametrize(
    ("asked", "treated"), [(40, 40.0), (1, 10.0), (10**9, 300.0), ("x", 25.0), (True, 25.0)]
)
def test_what_a_metered_device_asks_for_is_bounded(asked: object, treated: float) -> None:
    world = World()
    device = world.online(hello={"profile": "metered", "keepalive_s": asked})
    session = world.switchboard.session("dev-1")
    assert session.keepalive_s == treated
    assert session.profile.name == "metered"
    [said] = device.told("connected")
    assert (said["profile"], said["keepalive_s"]) == ("metered", treated)


def test_a_metered_device_that_wants_otherwise_is_heeded_within_bounds() -> None:
    world = World()
    device = world.online(profile=METERED)
    world.pass_time(1)
    session = world.switchboard.session("dev-1")
    for wanted, treated in ((120.0, 120.0), (0.5, 10.0), (3_600.0, 300.0)):
        device.dialer._link._ears.wish(wanted)
        world.pass_time(1)
        assert session.keepalive_s == treated
    assert session.closed is None


def test_a_standard_device_cannot_make_itself_silent() -> None:
    world = World()
    device = world.online()
    world.pass_time(1)
    device.dialer._link._ears.wish(120.0)
    world.pass_time(1)
    assert world.switchboard.session("dev-1").keepalive_s is None


def test_another_network_is_begun_with_what_is_remembered_of_it() -> None:
    world = World()
    device = world.online(profile=METERED)
    world.pass_time(1)
    assert device.dialer.keepalive_s == 25.0
    device.dialer._recall = lambda: Bounds(100.0, 105.0)
    device.dialer._link.network_changed(device.dialer._recall())
    world.pass_time(1)
    assert device.dialer.keepalive_s == 95.0
    assert world.switchboard.session("dev-1").keepalive_s == 95.0


def test_a_server_that_knows_of_no_metered_links_hears_a_standard_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgetainer.tunnel.listener._terms", lambda session: {})
    world = World()
    world.online(profile=METERED)
    world.switchboard.session("dev-1").keepalive_s = None
    world.pass_time(60)
    assert 12 <= sent_by(world, 60) <= 26
