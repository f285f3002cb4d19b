"""A reactor that is late, and what a server does then."""

from __future__ import annotations

from twisted.internet.task import Clock

from edgetainer.quic.lateness import LATE_S, LOOK_EVERY_S, Lateness
from tests.network import Network


def test_a_timer_that_fires_in_time_is_not_late_and_looking_ends() -> None:
    clock, busy = Clock(), [True]
    lateness = Lateness(clock, lambda: busy[0])
    lateness.watch()
    for _ in range(3):
        clock.advance(LOOK_EVERY_S)
        assert not lateness.late
    busy[0] = False
    clock.advance(LOOK_EVERY_S)
    assert clock.getDelayedCalls() == []


def test_a_late_timer_is_noticed_and_the_next_that_is_not() -> None:
    clock = Clock()
    lateness = Lateness(clock, lambda: False)
    lateness.watch()
    clock.advance(LOOK_EVERY_S + LATE_S + 0.01)
    assert lateness.late
    clock.advance(LOOK_EVERY_S)
    assert not lateness.late
    assert clock.getDelayedCalls() == []


def test_looking_can_be_ended() -> None:
    clock = Clock()
    lateness = Lateness(clock, lambda: True)
    lateness.stop()
    lateness.watch()
    lateness.watch()
    lateness.stop()
    assert clock.getDelayedCalls() == []


def test_a_server_that_is_late_takes_on_nobody_until_it_has_caught_up() -> None:
    network = Network()
    server = network.listen()
    honest = network.run(network.connect())
    server._half_open.lateness.stop()
    server._half_open.lateness.late = True
    server._half_open.lateness.watch()
    began = network.clock.seconds()
    connecting = network.connect()
    network.run(honest.ping())
    assert len(server._half_open) == 0
    # Its clock tells the server that it is in time; the client's next packet finds it so.
    network.run(connecting)
    assert 0.1 < network.clock.seconds() - began < 3


def test_a_server_without_handshakes_looks_no_more() -> None:
    network = Network()
    server = network.listen()
    network.run(network.connect())
    network.pass_time(1)
    assert server._half_open.lateness._timer is None
