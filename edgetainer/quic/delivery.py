"""How fast the path delivers: one estimate for each acknowledgement.

The method is that of draft-cheng-iccrg-delivery-rate-estimation-02. Each packet
remembers how much had been delivered when it was sent; when it is acknowledged,
what was delivered since, over the time that took, is a sample of the rate. The
time is the longer of the one in which the packets were sent and the one in
which they were acknowledged, so that neither a burst nor acknowledgements that
arrive squeezed together look like bandwidth.
"""

from __future__ import annotations

from typing import NamedTuple

from aioquic.quic.packet_builder import QuicSentPacket


class Snapshot(NamedTuple):
    """The state of delivery when a packet was sent; bytes and seconds."""

    delivered: int
    delivered_at: float
    first_sent_at: float
    app_limited: bool


class RateSample(NamedTuple):
    """What one acknowledgement says.

    :param rate: bytes per second; None when the interval was too short to tell.
    :param acked: bytes that it acknowledged.
    :param prior_delivered: bytes delivered when the newest packet of it was sent.
    :param app_limited: whether the sender had too little to send, so that the path
        may deliver more than `rate`.
    """

    rate: float | None
    acked: int
    prior_delivered: int
    app_limited: bool


class Delivery:
    """The books on what was delivered, of one sender."""

    def __init__(self) -> None:
        self.delivered = 0
        self._delivered_at = 0.0
        self._first_sent_at = 0.0
        self._app_limited_until = 0
        self._newest: Snapshot | None = None
        self._newest_sent_at = 0.0
        self._acked = 0

    def sent(self, packet: QuicSentPacket, now: float, in_flight: int) -> None:
        """A packet is sent while `in_flight` bytes of others are under way."""
        if in_flight == 0:
            self._first_sent_at = self._delivered_at = now
        packet.delivery = Snapshot(  # type: ignore[attr-defined]
            self.delivered,
            self._delivered_at,
            self._first_sent_at,
            self.delivered < self._app_limited_until,
        )

    def acked(self, packet: QuicSentPacket, now: float) -> None:
        """One packet of an acknowledgement; `sample` follows after the last."""
        self.delivered += packet.sent_bytes
        self._acked += packet.sent_bytes
        self._delivered_at = now
        snapshot: Snapshot | None = getattr(packet, "delivery", None)
        sent_at = packet.sent_time
        if snapshot is None or sent_at is None:
            return
        if self._newest is None or sent_at >= self._newest_sent_at:
            self._newest, self._newest_sent_at = snapshot, sent_at

    def sample(self, *, shortest: float) -> RateSample | None:
        """What the acknowledgement says; None when it acknowledged nothing new.

        :param shortest: seconds; over less than a round trip, rates mean nothing.
        """
        newest, self._newest = self._newest, None
        acked, self._acked = self._acked, 0
        if newest is None:
            return None
        self._first_sent_at = self._newest_sent_at
        interval = max(
            self._newest_sent_at - newest.first_sent_at,
            self._delivered_at - newest.delivered_at,
        )
        rate = None
        if interval > 0 and interval >= shortest:
            rate = (self.delivered - newest.delivered) / interval
        return RateSample(rate, acked, newest.delivered, newest.app_limited)

    def limited_by_application(self, in_flight: int) -> None:
        """The sender has nothing to send; samples say so until it had again."""
        self._app_limited_until = self.delivered + max(in_flight, 1)
