"""The controller on simulated links."""

from __future__ import annotations

import pytest

from edgetainer.quic.congestion import INITIAL_WINDOW, ModelBased
from edgetainer.quic.phases import Phase
from tests.events import Events
from tests.link import IP_UDP, Link, Path
from tests.quic.flow import HEADERS, Flow

PAYLOAD = (1200 - HEADERS) / (1200 + IP_UDP)


def test_a_new_path_gets_the_initial_window_over_one_round_trip() -> None:
    controller = ModelBased(max_datagram_size=1200)
    assert controller.congestion_window == INITIAL_WINDOW * 1200
    controller.on_rtt_measurement(now=1.0, rtt=0.1)
    assert controller.pacing_rate == pytest.approx(INITIAL_WINDOW * 1200 / 0.1)
    assert controller.phase is Phase.STARTUP
    assert controller.model is None


@pytest.mark.parametrize(
    ("path", "floor"),
    [
        (Path(rate=5e6, delay=0.04), 0.95),
        (Path(rate=5e6, delay=0.04, queue=1.0), 0.95),
        (Path(rate=5e6, delay=0.04, loss=0.03), 0.9),
        (Path(rate=1e6, delay=0.3, loss=0.1), 0.7),
    ],
)
def test_it_fills_the_path_and_no_queue(path: Path, floor: float) -> None:
    link = Link(path, seed=11)
    events = Events()
    flow = Flow(events, link.up, link.down, rtt=link.rtt)
    waits = []
    for tick in range(120):
        events.run(tick * 0.05)
        waits.append(link.up.backlog(events.now))
    most = path.rate * PAYLOAD * (1 - path.loss)
    assert flow.rate(3.0, 6.0) > floor * most
    assert sorted(waits)[len(waits) // 2] < 0.03
    assert flow.controller.phase is not Phase.STARTUP
    model = flow.controller.model
    assert model is not None
    assert model.min_rtt == pytest.approx(link.rtt, rel=0.1)
    assert model.bandwidth * 8 == pytest.approx(path.rate * (1 - path.loss), rel=0.15)
