from __future__ import annotations

import pytest

from edgetainer.errors import EdgetainerError
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
