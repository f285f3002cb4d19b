"""A sender that always has more, over a simulated link: Recovery without the rest.

Congestion control, pacing and loss detection are the real ones, and so is the
link; what is missing are encryption, streams and a second end's opinion, which
would take ninety-nine parts of the time.
"""

from __future__ import annotations

from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.tls import Epoch

from edgetainer.quic.congestion import MODEL_BASED, ModelBased
from edgetainer.quic.recovery import Recovery
from tests.events import Events
from tests.link import IP_UDP, Direction

HEADERS = 36
"""Bytes of a datagram that carry no stream data: QUIC's header, tag and frame."""

ACK_SIZE = 45 + IP_UDP
ACK_AFTER = 0.005
"""Seconds that the receiver collects packets for one acknowledgement."""


class Flow:
    """One direction of bulk, from when it is made.

    :param until: bytes to send; None for no end.
    """

    def __init__(
        self,
        events: Events,
        data: Direction,
        acks: Direction,
        *,
        datagram: int = 1200,
        ack_after: float = ACK_AFTER,
        rtt: float | None = None,
    ) -> None:
        self.events = events
        self.datagram = datagram
        self.received = 0
        self.arrivals: list[tuple[float, int]] = []
        self._data, self._acks = data, acks
        self._ack_after = ack_after
        self._probing = False
        self._ack_queue = RangeSet()
        self._ack_due = False
        self._largest: tuple[int, float] = (-1, 0.0)
        self._next = 0
        self._wakes_at: float | None = None
        self.space = QuicPacketSpace(is_application_data=True)
        self.recovery = Recovery(
            congestion_control_algorithm=MODEL_BASED,
            initial_rtt=0.1,
            max_datagram_size=datagram,
            peer_completed_address_validation=True,
            send_probe=self._probe,
        )
        self.recovery.handshake_confirmed = True
        self.recovery.spaces = [self.space]
        if rtt is not None:
            # What the handshake measured.
            self.controller.on_rtt_measurement(now=events.now, rtt=rtt)
        self._wake()

    @property
    def controller(self) -> ModelBased:
        return self.recovery.controller

    def rate(self, since: float, until: float) -> float:
        """Bits of stream data that arrived per second in a stretch of time."""
        size = sum(size for at, size in self.arrivals if since <= at < until)
        return size * 8 / (until - since)

    def _probe(self) -> None:
        self._probing = True

    def _wake(self) -> None:
        self._wakes_at = None
        now = self.events.now
        loss_at = self.recovery.get_loss_detection_time(amplification_limited=False)
        if loss_at is not None and now >= loss_at:
            self.recovery.on_loss_detection_timeout(now=now)
        recovery = self.recovery
        pacer = recovery._pacer
        room = recovery.congestion_window - recovery.bytes_in_flight
        paced: float | None = None
        burst = 0
        while room >= self.datagram:
            paced = pacer.next_send_time(now)
            if paced is not None:
                break
            pacer.update_after_send(now)
            room -= self.datagram
            burst += 1
        if self._probing and not burst:
            burst = 1  # RFC 9002 section 7.5: whatever the window says
        self._probing = False
        for _ in range(burst):
            self._send(now)
        due = recovery.get_loss_detection_time(amplification_limited=False)
        times = [at for at in (paced, due) if at is not None]
        if times:
            self._sleep(max(min(times), now + 1e-4))

    def _sleep(self, at: float) -> None:
        if self._wakes_at is None or at < self._wakes_at:
            self._wakes_at = at
            self.events.at(at, self._timer, at)

    def _timer(self, at: float) -> None:
        if self._wakes_at == at:
            self._wake()

    def _send(self, now: float) -> None:
        number, self._next = self._next, self._next + 1
        packet = QuicSentPacket(
            epoch=Epoch.ONE_RTT,
            in_flight=True,
            is_ack_eliciting=True,
            is_crypto_packet=False,
            packet_number=number,
            packet_type=QuicPacketType.ONE_RTT,
            sent_time=now,
            sent_bytes=self.datagram,
        )
        self.recovery.on_packet_sent(packet=packet, space=self.space)
        due = self._data.carry(self.datagram + IP_UDP, now)
        if due is not None:
            self.events.at(due, self._arrive, number)

    def _arrive(self, number: int) -> None:
        now = self.events.now
        self.arrivals.append((now, self.datagram - HEADERS))
        if number > self._largest[0]:
            self._largest = (number, now)
        self._ack_queue.add(number, number + 1)
        if not self._ack_due:
            self._ack_due = True
            self.events.at(now + self._ack_after, self._acknowledge)

    def _acknowledge(self) -> None:
        self._ack_due = False
        now = self.events.now
        while len(self._ack_queue) > 32:
            self._ack_queue.shift()
        due = self._acks.carry(ACK_SIZE, now)
        if due is not None:
            ranges = RangeSet([range(r.start, r.stop) for r in self._ack_queue])
            self.events.at(due, self._acked, ranges, now - self._largest[1])

    def _acked(self, ranges: RangeSet, delay: float) -> None:
        self.recovery.on_ack_received(
            ack_rangeset=ranges, ack_delay=delay, now=self.events.now, space=self.space
        )
        self._wake()
