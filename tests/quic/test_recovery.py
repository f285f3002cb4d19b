"""What is lost, and what is taken back; in the seconds of a fake clock."""

from __future__ import annotations

import pytest

from tests.quic.pair import Pair, Recorder, Source, pattern
from tests.quic.sending import ACKED, LOST, Sending

# Acknowledgements.


def test_each_packet_is_acknowledged_once_however_often_the_peer_says_so() -> None:
    sending = Sending()
    for number in range(10):
        sending.send(number, number / 100)
    sending.ack(range(0, 5), at=0.1)
    sending.ack(range(0, 5), range(6, 8), at=0.11)
    sending.ack(range(0, 10), at=0.12)
    assert all(fates == [ACKED] for fates in sending.fates.values())
    assert sending.controller.bytes_in_flight == 0
    assert sending.controller.acks == 3


def test_acknowledging_what_was_never_sent_does_nothing() -> None:
    sending = Sending()
    sending.send(0, 0.0)
    sending.ack(range(0, 2**62 - 1), at=0.1)
    assert sending.fates[0] == [ACKED]
    sending.send(1, 0.2)
    sending.ack(range(1, 2), at=0.3)
    assert sending.fates[1] == [ACKED], "numbers that were not sent yet are not settled"


def test_the_peers_delay_counts_up_to_what_it_announced() -> None:
    sending = Sending()
    sending.send(0, 0.0)
    sending.ack(range(0, 1), at=0.1)
    sending.send(1, 1.0)
    sending.ack(range(0, 2), at=1.15, delay=5.0)
    assert sending.recovery.rtt.latest == pytest.approx(0.125), "25 ms were announced"


# Losses.


def test_three_later_packets_make_a_loss() -> None:
    sending = Sending()
    for number in range(6):
        sending.send(number, 0.0)
    sending.ack(range(1, 3), at=0.1)
    assert sending.fates[0] == []
    sending.ack(range(1, 4), at=0.101)
    assert sending.fates[0] == [LOST]
    assert sending.fates[4] == []
    assert sending.controller.lost == [0]


def test_so_does_an_eighth_of_a_round_trip() -> None:
    sending = Sending()
    sending.send(0, 0.0)
    sending.send(1, 0.001)
    sending.ack(range(1, 2), at=0.101)
    assert sending.due == pytest.approx(0.1125)
    assert sending.timer() == pytest.approx(0.1125)
    assert sending.fates[0] == [LOST]
    assert sending.due is None


def test_a_loss_that_arrives_after_all_is_taken_back() -> None:
    sending = Sending()
    for number in range(40):
        sending.send(number, number / 1000)
    sending.ack(range(1, 31), at=0.13)
    assert sending.controller.lost == [0]
    sending.ack(range(0, 31), at=0.132)
    assert sending.fates[0] == [LOST, ACKED]
    assert sending.controller.undone == [0]
    assert sending.recovery.packets_late == 1
    # The next packet that is as late does not count as lost.
    sending.send(40, 0.2)
    for number in range(41, 71):
        sending.send(number, 0.2 + number / 10_000)
    sending.ack(range(41, 70), at=0.31)
    assert sending.fates[40] == []
    sending.ack(range(40, 70), at=0.312)
    assert sending.fates[40] == [ACKED]


# Whole connections.


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_nothing_is_lost_or_doubled_on_a_link_that_does_everything_wrong(seed: int) -> None:
    pair = Pair(seed=seed, loss=0.12, delay=0.05, jitter=0.04, duplicate=0.05)
    up, down, ends = Recorder(), Recorder(), (Recorder(), Recorder())
    pair.channel(up, ends[0])
    pair.channel(ends[1], down)
    Source(pair.network, ends[0].transport, 150_000, piece=150_000)
    Source(pair.network, ends[1].transport, 150_000, piece=150_000)
    pair.network.until(lambda: up.lost is not None and down.lost is not None, timeout=600.0)
    assert bytes(up.data) == bytes(down.data) == pattern(150_000)
    assert pair.server_connection.driver.quic._loss.packets_late > 0
