"""When to ask again, and with what; in the seconds of a fake clock."""

from __future__ import annotations

from itertools import pairwise

import pytest

from edgetainer.quic.probing import EARLY_PROBE_INTERVAL, HANDSHAKE_PROBE_MIN, MAX_PROBE_INTERVAL
from edgetainer.quic.recovery import INITIAL_RTT_MAX
from tests.quic.pair import Pair
from tests.quic.sending import ACKED, LOST, Sending


def test_a_probe_gives_nothing_up() -> None:
    """RFC 9002 section 6.2: a probe time-out is no sign of loss."""
    sending = Sending()
    for number in range(3):
        sending.send(number, 0.0)
    flying = sending.controller.bytes_in_flight
    sending.timer()
    assert sending.probes == 1
    assert [sending.fates[number] for number in range(3)] == [[LOST], [], []]
    assert sending.controller.bytes_in_flight == flying
    sending.send(3, 0.2)
    sending.timer()
    assert [sending.fates[number] for number in range(3)] == [[LOST], [LOST], []]
    sending.ack(range(0, 4), at=1.0)
    assert [sending.fates[number] for number in range(3)] == [[LOST, ACKED], [LOST, ACKED], [ACKED]]
    assert sending.controller.lost == sending.controller.undone == []


def test_what_a_probe_sent_again_is_not_queued_a_third_time_when_it_is_lost() -> None:
    sending = Sending()
    for number in range(2):
        sending.send(number, 0.0)
    sending.timer()
    for number in range(2, 6):
        sending.send(number, 0.2)
    sending.ack(range(2, 6), at=0.3)
    assert sending.fates[0] == [LOST], "its copy is in packet 2"
    assert sending.fates[1] == [LOST]
    assert sending.controller.lost == [0, 1]


def test_crypto_data_makes_room_for_itself() -> None:
    """Else a long chain of certificates fills the first window with its own copies."""
    sending = Sending()
    for number in range(3):
        sending.send(number, 0.0, crypto=True)
    sending.timer()
    assert sending.controller.bytes_in_flight == 0
    assert all(fates == [LOST] for fates in sending.fates.values())
    sending.ack(range(0, 3), at=0.6)
    assert sending.recovery.rtt.smoothed == pytest.approx(0.6), "the first copies arrived"
    assert sending.controller.undone == [], "nothing was done"


def silence(sending: Sending, seconds: float) -> list[float]:
    """When the probes of a silence go, each of them sent and not answered."""
    sending.send(1000, 0.0)
    sent: list[float] = []
    while not sent or sent[-1] < seconds:
        sent.append(sending.timer())
        sending.send(1000 + len(sent), sent[-1])
    return sent


def test_before_the_first_answer_probes_double() -> None:
    probes = silence(Sending(), 4.0)
    assert probes[:5] == pytest.approx([0.2, 0.6, 1.4, 3.0, 5.0])


def test_in_a_short_outage_they_lie_close() -> None:
    sending = Sending()
    sending.send(0, -0.1)
    sending.ack(range(0, 1), at=0.0)
    probes = silence(sending, 14.0)
    gaps = [later - earlier for earlier, later in pairwise(probes)]
    assert max(gaps) <= EARLY_PROBE_INTERVAL + 1e-9


def test_in_a_long_one_two_seconds_apart() -> None:
    """And two thousand doublings would not fit into a float."""
    sending = Sending()
    sending.send(0, -0.1)
    sending.ack(range(0, 1), at=0.0)
    probes = silence(sending, 3000.0)
    assert probes[-1] - probes[-2] == pytest.approx(MAX_PROBE_INTERVAL)


def test_a_link_slower_than_that_is_given_its_time() -> None:
    """Probing faster than answers can come would only fill a satellite's queue."""
    probes = silence(Sending(initial_rtt=1.5), 30.0)
    assert probes[-1] - probes[-2] == pytest.approx(3.0)


@pytest.mark.parametrize(("outage", "within"), [(10.0, EARLY_PROBE_INTERVAL), (120.0, 2.0)])
def test_an_outage_is_over_as_soon_as_a_probe_gets_through(outage: float, within: float) -> None:
    pair = Pair(delay=0.02)
    pair.network.up = False
    answered = pair.client.ping()
    pair.network.pass_time(outage)
    pair.network.up = True
    back = pair.network.clock.seconds()
    pair.network.run(answered)
    assert pair.network.clock.seconds() - back < within + 0.1


def test_a_handshake_is_not_repeated_while_the_other_end_computes() -> None:
    """A LAN's round trip is shorter than a signature."""
    sending = Sending()
    sending.recovery.handshake_confirmed = False
    sending.space.is_application_data = False
    sending.send(0, 0.0)
    sending.ack(range(0, 1), at=0.0005)
    sending.send(1, 1.0)
    assert sending.due == pytest.approx(1.0 + HANDSHAKE_PROBE_MIN)


def test_a_guess_only_lengthens_and_only_before_the_first_sample() -> None:
    recovery = Sending(initial_rtt=0.1).recovery
    recovery.guess_rtt(0.05)
    assert recovery.rtt.initial == 0.1
    recovery.guess_rtt(0.6)
    assert recovery.get_probe_timeout() == 1.2
    recovery.guess_rtt(30.0)
    assert recovery.rtt.initial == INITIAL_RTT_MAX
    measured = Sending()
    measured.send(0, 0.0)
    measured.ack(range(0, 1), at=0.05)
    measured.recovery.guess_rtt(0.9)
    assert measured.recovery.rtt.initial == 0.1
