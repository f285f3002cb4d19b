"""Losses are remembered for a while, and not too many."""

from __future__ import annotations

from edgetainer.quic.memory import REMEMBERED_PACKETS
from tests.quic.sending import LOST, Sending


def test_a_loss_is_remembered_for_a_few_probe_timeouts_only() -> None:
    sending = Sending()
    for number in range(5):
        sending.send(number, 0.0)
    sending.ack(range(1, 5), at=0.1)
    sending.send(5, 9.9)
    sending.ack(range(5, 6), at=10.0)
    sending.ack(range(0, 6), at=10.1)
    assert sending.fates[0] == [LOST]
    assert sending.controller.undone == []


def test_no_more_losses_are_remembered_than_a_satellites_window() -> None:
    sending = Sending(initial_rtt=0.6)
    last = REMEMBERED_PACKETS + 500
    for number in range(last + 1):
        sending.send(number, number / 1e6)
    sending.ack(range(last, last + 1), at=0.601)
    assert len(sending.controller.lost) == last - 2
    sending.send(last + 1, 0.61)
    sending.ack(range(last + 1, last + 2), at=1.2)
    assert len(sending.recovery._histories[sending.space].given_up) <= REMEMBERED_PACKETS
