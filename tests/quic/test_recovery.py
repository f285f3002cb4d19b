"""How far apart probes lie while nothing is acknowledged."""

from __future__ import annotations

import pytest

from edgetainer.quic.recovery import MAX_PROBE_INTERVAL, Recovery
from tests.quic.pair import Pair


def probing(initial_rtt: float, probes: int) -> Recovery:
    """Recovery after so many probes that nobody answered, the last at second 100."""
    recovery = Recovery(
        congestion_control_algorithm="reno",
        initial_rtt=initial_rtt,
        max_datagram_size=1200,
        peer_completed_address_validation=False,
        send_probe=lambda: None,
    )
    recovery._pto_count = probes
    recovery._time_of_last_sent_ack_eliciting_packet = 100.0
    return recovery


def due(recovery: Recovery) -> float:
    at = recovery.get_loss_detection_time(amplification_limited=False)
    assert at is not None
    return at - 100.0


def test_the_first_probes_double_as_they_always_did() -> None:
    waits = [due(probing(0.1, probes)) for probes in range(4)]
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6])


@pytest.mark.parametrize("probes", [4, 16, 100, 2000])
def test_later_ones_lie_two_seconds_apart(probes: int) -> None:
    """Two thousand doublings would not fit into a float."""
    assert due(probing(0.1, probes)) == pytest.approx(MAX_PROBE_INTERVAL)


def test_a_link_slower_than_that_is_given_its_time() -> None:
    """Probing faster than answers can come would only fill a satellite's queue."""
    assert due(probing(1.5, 5)) == pytest.approx(3.0)


def test_an_outage_is_over_as_soon_as_a_probe_gets_through() -> None:
    pair = Pair(delay=0.02)
    pair.network.up = False
    answered = pair.client.ping()
    pair.network.pass_time(120)
    pair.network.up = True
    back = pair.network.clock.seconds()
    pair.network.run(answered)
    assert pair.network.clock.seconds() - back < MAX_PROBE_INTERVAL + 0.1
