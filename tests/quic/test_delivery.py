"""Delivery-rate samples."""

from __future__ import annotations

import pytest
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.tls import Epoch

from edgetainer.quic.delivery import Delivery


def packet(number: int, at: float, size: int = 1000) -> QuicSentPacket:
    return QuicSentPacket(
        epoch=Epoch.ONE_RTT,
        in_flight=True,
        is_ack_eliciting=True,
        is_crypto_packet=False,
        packet_number=number,
        packet_type=QuicPacketType.ONE_RTT,
        sent_time=at,
        sent_bytes=size,
    )


def test_the_rate_is_what_was_delivered_while_the_newest_packet_flew() -> None:
    delivery = Delivery()
    packets = [packet(n, n * 0.01) for n in range(20)]
    flying = 0
    for each in packets[:10]:
        delivery.sent(each, each.sent_time or 0.0, flying)
        flying += 1000
    for n, each in enumerate(packets[:10]):
        at = 0.1 + n * 0.02
        delivery.acked(each, at)
        sample = delivery.sample(shortest=0.0)
    assert sample is not None
    # 10 packets, of which the first was acknowledged 0.28 s after it began.
    assert sample.rate == pytest.approx(10_000 / 0.28)
    assert sample.acked == 1000
    assert sample.prior_delivered == 0
    assert not sample.app_limited


def test_acknowledgements_squeezed_together_are_no_bandwidth() -> None:
    delivery = Delivery()
    packets = [packet(n, n * 0.01) for n in range(10)]
    for n, each in enumerate(packets):
        delivery.sent(each, n * 0.01, n * 1000)
    for each in packets:
        delivery.acked(each, 0.2)
    sample = delivery.sample(shortest=0.0)
    assert sample is not None
    assert sample.rate == pytest.approx(10_000 / 0.2)


def test_less_than_a_round_trip_says_nothing() -> None:
    delivery = Delivery()
    only = packet(0, 0.0)
    delivery.sent(only, 0.0, 0)
    delivery.acked(only, 0.01)
    sample = delivery.sample(shortest=0.05)
    assert sample is not None
    assert sample.rate is None
    assert delivery.sample(shortest=0.0) is None


def test_samples_say_that_the_application_was_the_limit_until_what_flew_has_landed() -> None:
    delivery = Delivery()
    first, second, third = packet(0, 0.0), packet(1, 0.1), packet(2, 0.3)
    delivery.sent(first, 0.0, 0)
    delivery.limited_by_application(1000)
    delivery.sent(second, 0.1, 1000)
    said = []
    for each, at in ((first, 0.2), (second, 0.25)):
        delivery.acked(each, at)
        sample = delivery.sample(shortest=0.0)
        assert sample is not None
        said.append(sample.app_limited)
    delivery.sent(third, 0.3, 0)
    delivery.acked(third, 0.4)
    sample = delivery.sample(shortest=0.0)
    assert sample is not None
    assert [*said, sample.app_limited] == [False, True, False]
