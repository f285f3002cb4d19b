"""An echo beside bulk on the links that people complain about, in fake milliseconds.

The floors are those of `bench/tunnel`, which measures the same with real processes
and sockets. Here the clock is fake and the seeds are printed, so a test that fails
fails again.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.protocol import Protocol

from edgetainer.quic.schedule import Priority
from tests.link import Link, Path
from tests.network import Network
from tests.quic.pair import Echo, Pair, Recorder, Source

EVERY_S = 0.1

START_S, START_ROUND_TRIPS = 3.0, 12
"""Seconds; the longer counts. Until then the congestion controller learns the link,
which it must fill for that."""


class Stamps(Protocol):
    """Sends a byte at each tick and writes down how long each took to come back."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.sent: list[float] = []
        self.took: list[float] = []

    def tick(self) -> None:
        self.sent.append(self.network.clock.seconds())
        self.transport.write(b"x")
        self.network.clock.callLater(EVERY_S, self.tick)

    def dataReceived(self, data: bytes) -> None:
        for _ in data:
            self.took.append(self.network.clock.seconds() - self.sent[len(self.took)])


def echo_beside_bulk(link: Link, *, bulk_bytes: int, seconds: float) -> list[float]:
    """Milliseconds of the echoes, shortest first, while bulk goes up the link."""
    pair = Pair(link=link)
    network = pair.network
    stamps, echo = Stamps(network), Echo()
    pair.channel(stamps, echo)
    for end in (stamps, echo):
        end.transport.set_priority(Priority.INTERACTIVE)
    source = Recorder()
    pair.channel(Recorder(), source)
    source.transport.set_priority(Priority.BULK)
    Source(network, source.transport, bulk_bytes)
    network.pass_time(max(START_S, START_ROUND_TRIPS * link.rtt))
    stamps.tick()
    network.pass_time(seconds)
    count = len(stamps.sent)
    network.until(lambda: len(stamps.took) >= count)
    took = sorted(1000 * each for each in stamps.took[:count])
    print("p50", took[count // 2], "p95", took[count * 95 // 100], "max", took[-1])
    return took


RADIO = Path(rate=3e6, delay=0.035, jitter=0.0125, queue=0.4, loss=0.005, late=0.01, late_by=0.03)

LINKS = {
    "loss3": (Path(rate=20e6, delay=0.075, loss=0.03), None, 200),
    "loss5": (Path(rate=5e6, delay=0.15, queue=0.2, loss=0.05), None, 520),
    "lte": (RADIO, replace(RADIO, rate=12e6), 175),
    "bad": (Path(rate=1e6, delay=0.3, loss=0.1), None, 1320),
}
"""Up, down, and the floor of an echo's p95 beside bulk, in milliseconds."""


@pytest.mark.parametrize(("name", "seconds"), [("loss5", 5.0), ("lte", 5.0), ("bad", 15.0)])
def test_an_echo_beside_bulk_keeps_to_the_floor(name: str, seconds: float) -> None:
    up, down, p95 = LINKS[name]
    took = echo_beside_bulk(Link(up, down, seed=1), bulk_bytes=10_000_000, seconds=seconds)
    assert took[len(took) * 95 // 100] <= p95


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 5))
@pytest.mark.parametrize("name", LINKS)
def test_an_echo_beside_bulk_keeps_to_the_floor_for_long(name: str, seed: int) -> None:
    up, down, p95 = LINKS[name]
    took = echo_beside_bulk(Link(up, down, seed=seed), bulk_bytes=1_000_000_000, seconds=30.0)
    assert took[len(took) * 95 // 100] <= p95


@pytest.mark.parametrize("name", ["loss3", "loss5", "bad"])
def test_alone_it_hardly_notices_losses(name: str) -> None:
    """Without copies the slowest twentieth takes half as long again, or twice."""
    up, down, _ = LINKS[name]
    link = Link(up, down, seed=2)
    took = echo_beside_bulk(link, bulk_bytes=1, seconds=15.0)
    assert link.up.lost + link.down.lost > 5
    assert took[len(took) * 95 // 100] < 1000 * link.rtt + 60
