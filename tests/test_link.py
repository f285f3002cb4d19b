"""The simulated bottleneck does what its parameters say."""

from __future__ import annotations

import pytest

from tests.link import IP_UDP, Direction, Link, Path
from tests.network import Network


def test_the_rate_spaces_packets_out() -> None:
    way = Direction(Path(rate=8e6, delay=0.1), seed=1)
    arrivals = [way.carry(1000, 0.0) for _ in range(3)]
    assert arrivals == pytest.approx([0.101, 0.102, 0.103])


def test_the_queue_holds_what_it_holds_and_drops_the_tail() -> None:
    way = Direction(Path(rate=8e6, delay=0.0, queue=0.0095), seed=1)
    arrivals = [way.carry(1000, 0.0) for _ in range(20)]
    assert [due is None for due in arrivals] == [False] * 10 + [True] * 10
    assert way.overflowed == 10
    assert way.backlog(0.0) == pytest.approx(0.010)
    assert way.backlog(1.0) == 0.0


def test_jitter_keeps_order_and_lateness_does_not() -> None:
    way = Direction(Path(delay=0.05, jitter=0.02), seed=3)
    arrivals = [due for n in range(500) if (due := way.carry(100, n * 0.001)) is not None]
    assert arrivals == sorted(arrivals)
    delays = [due - n * 0.001 for n, due in enumerate(arrivals)]
    assert min(delays) >= 0.03
    assert max(delays) <= 0.07
    way = Direction(Path(delay=0.05, late=0.1, late_by=0.03), seed=3)
    arrivals = [due for n in range(500) if (due := way.carry(100, n * 0.001)) is not None]
    late = sum(due - n * 0.001 > 0.07 for n, due in enumerate(arrivals))
    assert 30 < late < 70
    assert arrivals != sorted(arrivals)


def test_losses_are_as_frequent_and_as_bursty_as_asked_for() -> None:
    plain = Direction(Path(loss=0.05), seed=5)
    assert sum(plain.carry(100, n * 0.01) is None for n in range(10_000)) / 10_000 == pytest.approx(
        0.05, abs=0.01
    )
    bursts = Direction(Path(bursts=(0.003, 0.25)), seed=5)
    fates = [bursts.carry(100, n * 0.01) is None for n in range(100_000)]
    lost = sum(fates)
    runs = sum(now and not before for before, now in zip([False, *fates], fates, strict=False))
    assert lost / 100_000 == pytest.approx(0.012, abs=0.003)
    assert lost / runs == pytest.approx(4.0, abs=0.6)


def test_a_network_carries_over_its_link() -> None:
    network = Network(link=Link(Path(rate=1e6, delay=0.03), Path(rate=1e6, delay=0.05)))
    network.listen()
    network.run(network.connect())
    link = network.link
    assert link is not None
    assert link.rtt == pytest.approx(0.08)
    # A Retry and a handshake: three round trips and the time of some five datagrams.
    assert 0.16 < network.clock.seconds() < 0.4
    assert link.up.delivered_bytes >= 2 * (1200 + IP_UDP)
