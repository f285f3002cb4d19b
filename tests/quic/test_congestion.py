"""The controller on simulated links."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.tls import Epoch

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


def test_busy_hosts_are_no_queue() -> None:
    # A local network whose hosts take up to four milliseconds for what they do.
    link = Link(Path(rate=300e6, delay=0.000_25, queue=0.02, jitter=0.002), seed=3)
    events = Events()
    flow = Flow(events, link.up, link.down, rtt=link.rtt)
    phases = set()
    for tick in range(60):
        events.run(tick * 0.01)
        phases.add(flow.controller.phase)
    assert flow.rate(0.2, 0.6) > 0.8 * 300e6 * PAYLOAD
    assert Phase.COMPETE not in phases


def test_heavy_loss_is_congestion() -> None:
    link = Link(Path(rate=5e6, delay=0.04, queue=0.1, loss=0.35), seed=5)
    events = Events()
    flow = Flow(events, link.up, link.down, rtt=link.rtt)
    windows = []
    for tick in range(80):
        events.run(tick * 0.1)
        windows.append(flow.controller.congestion_window)
    held = 5e6 / 8 * link.rtt
    assert sorted(windows[20:])[30] < held
    assert flow.rate(4.0, 8.0) > 50_000


def test_losses_taken_back_leave_no_trace() -> None:
    packets = [sent(number) for number in range(10)]
    controller = ModelBased(max_datagram_size=1200)
    for packet in packets:
        controller.on_packet_sent(packet=packet)
    controller.on_packets_lost(now=0.2, packets=packets)
    assert controller.bytes_in_flight == 0
    assert controller._lost_in_round == 12_000
    controller.on_spurious_loss(0.3, packets)
    assert controller._lost_in_round == 0


def test_another_network_is_not_what_the_last_one_was() -> None:
    link = Link(Path(rate=5e6, delay=0.04), seed=7)
    events = Events()
    flow = Flow(events, link.up, link.down, rtt=link.rtt)
    events.run(3.0)
    controller = flow.controller
    flying = controller.bytes_in_flight
    assert controller.model is not None
    controller.on_path_changed(events.now)
    assert controller.phase is Phase.STARTUP
    assert controller.model is None
    assert controller.bytes_in_flight == flying
    events.run(6.0)
    assert flow.rate(5.0, 6.0) > 0.9 * 5e6 * PAYLOAD


def test_a_link_that_was_away_is_the_same_when_it_is_back() -> None:
    controller = ModelBased(max_datagram_size=1200)
    controller.on_rtt_measurement(now=0.0, rtt=0.1)
    controller.on_persistent_congestion()
    assert controller.congestion_window == 4 * 1200
    assert controller.pacing_rate > 0


def sent(number: int) -> QuicSentPacket:
    """A packet of 1,200 bytes that is sent now."""
    return QuicSentPacket(
        epoch=Epoch.ONE_RTT,
        in_flight=True,
        is_ack_eliciting=True,
        is_crypto_packet=False,
        packet_number=number,
        packet_type=QuicPacketType.ONE_RTT,
        sent_time=0.1,
        sent_bytes=1200,
    )


def test_bandwidth_that_comes_is_found() -> None:
    slow = Path(rate=2e6, delay=0.04, queue=0.2)
    link = Link(slow, seed=9)
    events = Events()
    flow = Flow(events, link.up, link.down, rtt=link.rtt)
    events.run(3.0)
    link.up.path = replace(slow, rate=6e6)
    events.run(7.0)
    assert flow.rate(2.0, 3.0) < 2e6
    assert flow.rate(6.0, 7.0) > 0.85 * 6e6 * PAYLOAD
