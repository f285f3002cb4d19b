"""What recovery remembers of the packets that it gave up.

A packet that counts as lost may be on its way. While it is remembered, its
acknowledgement is understood: its bytes need not go again, and what was done about
its loss is taken back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aioquic.quic.packet_builder import QuicDeliveryState, QuicSentPacket
from aioquic.quic.recovery import QuicPacketRecovery, QuicPacketSpace

from edgetainer.quic.settled import Settled

REMEMBERED_PACKETS = 2048
"""Packets that are remembered after they were given up: a satellite's window.
Each keeps about half a kilobyte."""

REMEMBERED_PROBE_TIMEOUTS = 4
"""Probe time-outs for which they are remembered."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A packet whose content was queued again.

    :param at: when, in seconds.
    :param lost: whether it counts as lost, and the congestion controller was told.
    """

    packet: QuicSentPacket
    at: float
    lost: bool


@dataclass
class History:
    """What recovery knows of one packet number space beyond its sent packets.

    :param settled: numbers that need no more attention.
    :param given_up: by number, in the order in which they were given up.
    :param sent_again: numbers in flight whose content was queued again by a probe.
    """

    settled: Settled = field(default_factory=Settled)
    given_up: OrderedDict[int, GivenUp] = field(default_factory=OrderedDict)
    sent_again: set[int] = field(default_factory=set)

    def new(self, ranges: Iterable[range], stop: int) -> Iterator[int]:
        """The numbers below `stop` in the ranges that were not settled before."""
        for each in ranges:
            for piece in self.settled.add(each.start, min(each.stop, stop)):
                yield from piece

    def forget(self, before: float) -> int:
        """Settle what was given up before then, or is too much; how many of it were lost."""
        lost = 0
        while self.given_up:
            number, oldest = next(iter(self.given_up.items()))
            if oldest.at > before and len(self.given_up) <= REMEMBERED_PACKETS:
                break
            del self.given_up[number]
            self.settled.add(number, number + 1)
            lost += oldest.lost
        return lost


class Remembering(QuicPacketRecovery):
    """aioquic's recovery with a memory; a part of `recovery.Recovery`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._histories: dict[QuicPacketSpace, History] = {}

    def _give_up(
        self, packets: Iterable[QuicSentPacket], *, space: QuicPacketSpace, now: float, lost: bool
    ) -> None:
        """Queue the content of packets again, and remember them for a while."""
        history = self._history(space)
        for packet in packets:
            number = packet.packet_number
            del space.sent_packets[number]
            if packet.is_ack_eliciting:
                space.ack_eliciting_in_flight -= 1
            history.given_up[number] = GivenUp(packet, now, lost)
            if number in history.sent_again:
                history.sent_again.discard(number)
            else:
                tell(packet, QuicDeliveryState.LOST)
            if self._quic_logger is not None:
                self._quic_logger.log_event(
                    category="recovery",
                    event="packet_lost",
                    data={
                        "type": self._quic_logger.packet_type(packet.packet_type),
                        "packet_number": number,
                    },
                )

    def discard_space(self, space: QuicPacketSpace) -> None:
        """The keys of a space are gone: nothing more will be heard of it."""
        super().discard_space(space)
        self._histories.pop(space, None)

    def _history(self, space: QuicPacketSpace) -> History:
        history = self._histories.get(space)
        if history is None:
            history = self._histories[space] = History()
        return history


def tell(packet: QuicSentPacket, delivery: QuicDeliveryState) -> None:
    """Tell those whose frames the packet carried what became of it."""
    for handler, args in packet.delivery_handlers:
        handler(delivery, *args)


def sent_at(packet: QuicSentPacket) -> float:
    """When a packet that was sent was sent."""
    assert packet.sent_time is not None
    return packet.sent_time
