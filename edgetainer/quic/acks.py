"""When to acknowledge (RFC 9000 section 13.2).

An acknowledgement for each packet or two costs a slow radio its uplink, and both
ends more time than the data. What a sender needs is to hear of gaps at once, of
the first packets soon, and of the rest a few times in a round trip.
"""

from __future__ import annotations

import math
from typing import Any

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.connection import NetworkAddress, QuicConnection, QuicReceiveContext
from aioquic.quic.packet import QuicHeader, pull_quic_transport_parameters

from edgetainer.quic.recovery import Recovery

LONGEST_DELAY_S = 0.020
"""Seconds. aioquic announces a max_ack_delay of 25 ms, by which the peer's probe
time-outs are set; five of them are left for the timer (RFC 9000 section 13.2.1)."""

SHORTEST_DELAY_S = 0.001
"""Seconds: timers are no finer."""

PROMPT_DELAY_S = 0.005
"""Seconds, when packets come singly: long enough for an answer to carry the
acknowledgement along, short enough that nothing is sent again for want of it."""

ROUND_TRIP_FRACTION = 1 / 8
"""Of a round trip; eight acknowledgements in it are enough to pace by."""

EVERY = 32
"""Packets that are acknowledged together at most, which matters above 20 Mbit/s."""

EVERY_AT_FIRST = 2
"""The same (RFC 9000 section 13.2.2) while the peer's window grows with every one."""

FIRST_PACKETS = 100
"""How many packets are the first."""


class AckPolicy:
    """When the application data that arrived is acknowledged; seconds throughout.

    :ivar lone: whether the last packet came alone. What is sent next is its answer
        then, and takes the acknowledgement along.
    """

    def __init__(self) -> None:
        self._received = 0
        self._waiting = 0
        self._last_at = -math.inf
        self.lone = False

    def received(self, *, now: float, rtt: float, in_order: bool, due: float | None) -> float:
        """A packet came that asks for an acknowledgement; when that is due now.

        :param rtt: of the path, without queues.
        :param in_order: whether it is the one after the newest before it.
        :param due: when the acknowledgement of packets before it is due; None if
            they are all acknowledged.
        """
        self._received += 1
        self._waiting = 1 if due is None else self._waiting + 1
        since, self._last_at = now - self._last_at, now
        self.lone = since > LONGEST_DELAY_S
        first = self._received <= FIRST_PACKETS
        if not in_order or self._waiting >= (EVERY_AT_FIRST if first else EVERY):
            return now
        delay = min(max(rtt * ROUND_TRIP_FRACTION, SHORTEST_DELAY_S), LONGEST_DELAY_S)
        if since > LONGEST_DELAY_S or first:
            delay = min(delay, PROMPT_DELAY_S)
        return now + delay if due is None else min(due, now + delay)


class Acknowledging(QuicConnection):
    """Acknowledges by `AckPolicy`, and reads the peer's; a part of `connection.Connection`."""

    _loss: Recovery

    def __init__(self, **options: Any) -> None:
        self._ack_policy = AckPolicy()
        self._asked = False
        super().__init__(**options)

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take one datagram; see the base class."""
        space = self._spaces.get(tls.Epoch.ONE_RTT)
        if space is None:
            super().receive_datagram(data, addr, now)
            return
        due, newest = space.ack_at, space.largest_received_packet
        self._asked = False
        super().receive_datagram(data, addr, now)
        if self._asked and not space.discarded:
            rtt = self._loss.rtt
            space.ack_at = self._ack_policy.received(
                now=now,
                rtt=min(rtt.min, rtt.expected),
                in_order=space.largest_received_packet == newest + 1,
                due=due,
            )

    def _payload_received(
        self, context: QuicReceiveContext, plain: bytes, crypto_frame_required: bool = False
    ) -> tuple[bool, bool]:
        asks, probing = super()._payload_received(context, plain, crypto_frame_required)
        if asks and context.epoch is tls.Epoch.ONE_RTT:
            self._asked = True
        return asks, probing

    def _parse_transport_parameters(self, data: bytes, from_session_ticket: bool = False) -> None:
        super()._parse_transport_parameters(data, from_session_ticket)
        # aioquic 1.7.2 assigns its own value to itself.
        exponent = pull_quic_transport_parameters(Buffer(data=data)).ack_delay_exponent
        if exponent is not None:
            self._remote_ack_delay_exponent = exponent

    def _receive_retry_packet(
        self, header: QuicHeader, packet_without_tag: bytes, now: float
    ) -> None:
        retries, spaces = self._retry_count, self._loss.spaces
        super()._receive_retry_packet(header, packet_without_tag, now)
        if self._retry_count > retries:
            self._loss.handshake_restarted(spaces, now=now)
