"""CUBIC's window beside a rival, and what it brings on a shared bottleneck."""

from __future__ import annotations

import pytest

from edgetainer.quic.phases import Phase
from edgetainer.quic.rival import BETA, Rival
from tests.events import Events
from tests.link import Link, Path
from tests.quic.flow import Flow
from tests.tcp import Cubic

SHARED = Path(rate=10e6, delay=0.04, queue=0.1)


def test_until_the_first_loss_it_claims_half_of_what_the_path_holds() -> None:
    rival = Rival(0.0, 10_000, datagram=1000)
    rival.claim(100_000)
    assert rival.window == 50_000
    rival.claim(60_000)
    assert rival.window == 50_000
    rival.lost(1.0)
    assert rival.window == pytest.approx(50_000 * BETA)
    rival.claim(500_000)
    assert rival.window == pytest.approx(50_000 * BETA)


def test_after_a_loss_it_comes_back_to_where_it_was_lost_and_then_on() -> None:
    rival = Rival(0.0, 100_000, datagram=1000)
    rival.lost(0.0)
    # K of RFC 9438 section 4.2: (100 * 0.3 / 0.4) ** (1 / 3) = 4.2 s.
    windows = []
    for tenth in range(1, 80):
        rival.grow(tenth / 10, 0.1)
        windows.append(rival.window)
    assert windows == sorted(windows)
    assert windows[40] == pytest.approx(100_000, rel=0.02)
    assert windows[-1] > 115_000


def test_a_second_loss_below_the_first_leaves_room() -> None:
    rival = Rival(0.0, 100_000, datagram=1000)
    rival.lost(0.0)
    rival.lost(0.1)
    for tenth in range(1, 31):
        rival.grow(0.1 + tenth / 10, 0.1)
    # Its plateau lies at 0.85 of the 70,000 that it had, and it is back there already;
    # without that it would not have reached 60,000.
    assert 61_000 < rival.window < 70_000


def test_beside_a_tcp_flow_it_takes_about_half_and_alone_again_it_lets_go() -> None:
    link = Link(SHARED, seed=1)
    events = Events()
    ours = Flow(events, link.up, link.down, rtt=link.rtt)
    events.run(2.0)
    theirs = Cubic(events, link.up, link.down)
    events.run(14.0)
    share = ours.rate(4.0, 14.0) / (ours.rate(4.0, 14.0) + theirs.rate(4.0, 14.0))
    print(f"our share: {share:.2f}")
    assert 0.35 < share < 0.65
    assert ours.controller.phase is Phase.COMPETE
    theirs.stop()
    events.run(18.0)
    assert ours.controller.phase is not Phase.COMPETE
    assert link.up.backlog(events.now) < 0.03


def test_two_of_our_flows_share() -> None:
    link = Link(SHARED, seed=1)
    events = Events()
    first = Flow(events, link.up, link.down, rtt=link.rtt)
    events.run(2.0)
    second = Flow(events, link.up, link.down, rtt=link.rtt)
    events.run(16.0)
    rates = [first.rate(8.0, 16.0), second.rate(8.0, 16.0)]
    jain = sum(rates) ** 2 / (2 * sum(rate * rate for rate in rates))
    print(f"Jain's index {jain:.3f} of {rates}")
    assert jain >= 0.9
