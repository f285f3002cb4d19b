"""How much may be in flight, and how fast it may leave: a model of the path.

The controller belongs to the BBR family (Cardwell et al., "BBR: Congestion-Based
Congestion Control", ACM Queue 14 (5), 2016; draft-ietf-ccwg-bbr). It estimates
what the bottleneck delivers and how long the empty path is, paces at the former
and keeps little more than their product in flight. Loss does not tell a full
queue from a bad radio, so it does not slow the flow down unless it is heavy.

It differs from BBRv3 where a terminal shares the flow's queue:

- *The queue is watched.* Where each packet of a round trip waited, a queue
  stands, and the flow yields until it is gone, whatever the estimates say.
- *Tolerated loss is made up for.* A path that loses a tenth is sent a ninth
  more, or else each round would measure a tenth less than the one before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from aioquic.quic.congestion.base import QuicCongestionControl, register_congestion_control
from aioquic.quic.packet_builder import QuicSentPacket

from edgetainer.quic.delivery import Delivery, RateSample
from edgetainer.quic.filters import MinRtt, WindowedMax
from edgetainer.quic.path_model import PathModel
from edgetainer.quic.phases import SHAPES, Phase
from edgetainer.quic.rival import LASTS, Rival

MODEL_BASED = "model-based"
"""Under this name the controller is registered with aioquic."""

INITIAL_WINDOW = 32
"""Datagrams, paced over the first round trip, so that they are no burst; RFC 6928
has ten, in a burst. Satellites need the difference: 1.7 round trips of 0.6 s."""

RESUMED = 0.4
"""Share of a remembered bandwidth that, once measured, needs no memory any more."""

RETREAT = 0.1
"""Share of loss at which a remembered bandwidth is not believed any more, beyond
what was tolerated."""

MINIMUM_WINDOW = 4
"""Datagrams: less, and acknowledgements come too seldom to learn from."""

HOST_DELAY = 0.012
"""Seconds of the bandwidth added to the window for what the two hosts take to
handle packets and to acknowledge them, which on a local network is many times
what the network takes. Pacing, not the window, keeps queues short."""

HOLD_S = 0.004
"""Seconds of queue at least that make start-up hold still."""

ROUND_MIN_S = 0.01
"""Seconds that a round trip is taken to last at least: within less, the two hosts'
own scheduling is all that can be seen of a local network."""

BANDWIDTH_ROUNDS = 10
"""Round trips for which the largest rate sample counts."""

FULL_ROUNDS = 3
"""Round trips without a quarter more that end start-up (draft-ietf-ccwg-bbr, 4.3.1.2)."""

HOLD_SAMPLES = 8
"""Samples of a round trip that tell a queue from chance (RFC 9406 section 4.2)."""

CRUISE_ROUNDS = 8
"""Round trips between two looks for more bandwidth."""

BOLD = 1.25
"""Pacing gain of a look for bandwidth after one that found some (BBR's)."""

GROWS = 1.03
"""Factor of the bandwidth that a look for more must find to be worth another."""

YIELD_ROUNDS = 3
"""Round trips after which a queue that does not go is taken for none of ours."""

STUBBORN = 2
"""Times in a row that yielding leaves a foreign queue before there is a rival."""

FOREIGN = 0.3
"""Share of the shortest round trip that a queue must take to be a rival's."""

FOREIGN_MIN_S = 0.015
"""Seconds that it must take at least."""

RIVAL_MIN_RTT = 0.005
"""Seconds: on a shorter path, a local network's, hosts that are busy for a moment
look like a queue, and there is nothing to win."""

CALM = 0.25
"""Share at which the rival is gone: half of the path's bytes keep no larger queue."""

RIVAL_ROUNDS = 100
"""Round trips for which it is remembered what the path gave us alone."""

PROBE_S = 0.03
"""Seconds of queue that looking for more bandwidth may make in a round trip."""

MIN_RTT_LASTS = 20.0
"""Seconds for which the shortest round trip is believed unconfirmed."""

PROBE_RTT_LASTS = 0.2
"""Seconds that little is in flight to see it, or one round trip if longer."""

HEAVY_LOSS = 0.2
"""Share of the bytes of two round trips whose loss is congestion, whatever the
cause: beyond it, sending more mostly loses more."""

TOLERATED_MAX = 0.15
"""Share of loss that is made up for."""


class Held(NamedTuple):
    """Start-up holds still: since which round, at which bandwidth and bytes in flight."""

    round: int
    bandwidth: float
    in_flight: int


class ModelBased(QuicCongestionControl):
    """The controller of one connection; bytes and seconds throughout.

    aioquic calls the methods of its base class; `Recovery` calls `on_ack_processed`
    once after each acknowledgement, and `Connection` tells when the application
    had nothing more to send.
    """

    def __init__(self, *, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self.phase = Phase.STARTUP
        self.bytes_in_flight = 0
        self.max_datagram_size = max_datagram_size
        self.pacing_rate = 0.0
        self.congestion_window = INITIAL_WINDOW * max_datagram_size
        self._delivery = Delivery()
        self._bandwidth = WindowedMax(BANDWIDTH_ROUNDS)
        self._aggregation = WindowedMax(BANDWIDTH_ROUNDS)
        self._epoch_at = 0.0
        self._epoch_acked = 0.0
        self._min_rtt = MinRtt(MIN_RTT_LASTS)
        self._round = 0
        self._round_ends_at = 0
        self._round_began = -math.inf
        self._phase_rounds = 0
        self._phase_until: float | None = None
        self._probed_from = math.inf
        self._bold = False
        self._full_bandwidth = 0.0
        self._full_rounds = 0
        self._held: Held | None = None
        self._lost_in_round = 0
        self._acked_in_round = 0
        self._loss_before: tuple[int, int] = (0, 0)
        self._tolerated = 0.0
        self._ceiling = math.inf
        self._backed_off_at = -math.inf
        self._unmoved = 0.0
        self._stubborn = 0
        self._most_bandwidth = WindowedMax(RIVAL_ROUNDS)
        self._rival: Rival | None = None
        self._remembered: PathModel | None = None

    # What aioquic asks.

    def on_packet_sent(self, *, packet: QuicSentPacket) -> None:
        """Packets that count as in flight come here, others do not."""
        assert packet.sent_time is not None
        self._delivery.sent(packet, packet.sent_time, self.bytes_in_flight)
        self.bytes_in_flight += packet.sent_bytes

    def on_packet_acked(self, *, now: float, packet: QuicSentPacket) -> None:
        """One packet of an acknowledgement."""
        self.bytes_in_flight -= packet.sent_bytes
        self._acked_in_round += packet.sent_bytes
        self._delivery.acked(packet, now)

    def on_packets_lost(self, *, now: float, packets: Iterable[QuicSentPacket]) -> None:
        """Packets are believed to be lost."""
        for packet in packets:
            self.bytes_in_flight -= packet.sent_bytes
            if packet.sent_time is None or packet.sent_time >= self._backed_off_at:
                # What was sent before a back-off has been answered by it.
                self._lost_in_round += packet.sent_bytes

    def on_packets_expired(self, *, packets: Iterable[QuicSentPacket]) -> None:
        """Packets are waited for no longer; nothing is known of them."""
        self.bytes_in_flight -= sum(packet.sent_bytes for packet in packets)

    def on_rtt_measurement(self, *, now: float, rtt: float) -> None:
        """A round trip was measured."""
        self._min_rtt.update(rtt, now)
        if self._bandwidth.value == 0.0:
            # Nothing delivered to learn from yet: the first window over one round.
            self.pacing_rate = self.congestion_window / rtt

    def on_persistent_congestion(self) -> None:
        """Nothing arrived for long (RFC 9002 section 7.6): until it does, send little.

        The model is kept. The link was away, or it still is; when it is back it is
        most often the one it was.
        """
        self.congestion_window = MINIMUM_WINDOW * self.max_datagram_size

    def get_log_data(self) -> dict[str, Any]:
        """For qlog's `metrics_updated`."""
        return {**super().get_log_data(), "pacing_rate": int(self.pacing_rate * 8)}

    # What Recovery and Connection add.

    def on_ack_processed(self, now: float) -> None:
        """All packets of one acknowledgement, and their losses, were reported."""
        sample = self._delivery.sample(shortest=min(self._min_rtt.value, 3600.0))
        if sample is None or self._min_rtt.value == math.inf:
            return
        ended = (
            sample.prior_delivered >= self._round_ends_at and now >= self._round_began + ROUND_MIN_S
        )
        if ended:
            self._round += 1
            self._round_began = now
            self._round_ends_at = self._delivery.delivered
            self._min_rtt.round_ended()
        self._learn_bandwidth(sample)
        self._learn_aggregation(sample.acked, now)
        if ended:
            self._round_ended(now, sample)
        if self.phase is Phase.STARTUP:
            self._hold_start()
        elif self.phase is Phase.PROBE_RTT:
            self._look_at_rtt(now)
        elif self.phase in (Phase.DRAIN, Phase.YIELD) and self._is_drained():
            self._enter(Phase.CRUISE, now)
        self._set_window()

    def on_spurious_loss(self, now: float, packets: Iterable[QuicSentPacket]) -> None:
        """Packets that were declared lost had arrived: take it back."""
        size = sum(packet.sent_bytes for packet in packets)
        self._lost_in_round -= min(size, self._lost_in_round)
        self._delivery.delivered += size

    def on_application_limited(self, now: float) -> None:
        """Nothing more is waiting to be sent, though the window had room."""
        self._delivery.limited_by_application(self.bytes_in_flight)

    def on_path_changed(self, now: float) -> None:
        """Another network carries the packets: nothing is known of it (RFC 9000, 9.4)."""
        size, flying, delivery = self.max_datagram_size, self.bytes_in_flight, self._delivery
        self.__init__(max_datagram_size=size)  # type: ignore[misc]
        self.bytes_in_flight, self._delivery = flying, delivery

    def set_max_datagram_size(self, size: int) -> None:
        """Datagrams of the path are this large from now on."""
        self.max_datagram_size = size

    @property
    def model(self) -> PathModel | None:
        """What was learned of the path; None before start-up has ended."""
        if self.phase is Phase.STARTUP or self._min_rtt.value == math.inf:
            return None
        return PathModel(self._bandwidth.value, self._min_rtt.value)

    def start_from(self, model: PathModel) -> None:
        """Start at half of what an earlier connection found on this path.

        Careful, as draft-ietf-tsvwg-careful-resume says: only where the round trip
        is the remembered one, only until the first window of it was acknowledged,
        when measurement takes over, and not any longer than it loses little.
        """
        rtt = self._min_rtt.value
        alike = model.min_rtt / 2 <= rtt <= model.min_rtt * 2
        if alike and self.phase is Phase.STARTUP and self._held is None:
            self._remembered = model
            self._set_window()

    # Learning.

    def _learn_bandwidth(self, sample: RateSample) -> None:
        if sample.rate is None:
            return
        if self._remembered is not None and sample.rate >= RESUMED * self._remembered.bandwidth:
            self._remembered = None
        if not sample.app_limited or sample.rate > self._bandwidth.value:
            self._bandwidth.update(self._round, sample.rate)
            self._most_bandwidth.update(self._round, sample.rate)

    def _learn_aggregation(self, acked: int, now: float) -> None:
        # How far acknowledgements run ahead of the rate when they come in lumps
        # (draft-ietf-ccwg-bbr, section 4.5.9): so much must be in flight besides,
        # or the flow stands still between two lumps.
        expected = self._bandwidth.value * (now - self._epoch_at)
        if self._epoch_acked <= expected:
            self._epoch_at, self._epoch_acked, expected = now, 0.0, 0.0
        self._epoch_acked += acked
        extra = min(self._epoch_acked - expected, self._bdp)
        self._aggregation.update(self._round, extra)

    def _round_ended(self, now: float, sample: RateSample) -> None:
        self._phase_rounds += 1
        lost, acked = self._lost_in_round, self._acked_in_round
        lost_before, acked_before = self._loss_before
        self._loss_before, self._lost_in_round, self._acked_in_round = (lost, acked), 0, 0
        both = lost + acked + lost_before + acked_before
        share = (lost + lost_before) / both if both else 0.0
        heavy = share > HEAVY_LOSS and both > 20 * self.max_datagram_size
        if heavy or share > RETREAT + self._tolerated:
            self._remembered = None
        if heavy:
            # What arrived is what the path carries; half of the model at least.
            self._ceiling = max(acked, self._bdp / 2, MINIMUM_WINDOW * self.max_datagram_size)
            self._backed_off_at = now
            self._loss_before = (0, 0)
        else:
            if lost + acked and self._min_rtt.queue <= self._queue_target + self._unmoved:
                # Without a queue nothing overflowed: such loss is the radio's.
                self._tolerated += 0.1 * (min(share, TOLERATED_MAX) - self._tolerated)
            self._ceiling *= 1.25
        self._next_phase(now, sample, share, heavy)

    @property
    def _bdp(self) -> float:
        return self._bandwidth.value * self._min_rtt.value / (1 - self._tolerated)

    @property
    def _queue_target(self) -> float:
        """Seconds of standing queue that are not worth slowing down for."""
        packets = 2 * self.max_datagram_size / max(self._bandwidth.value, 1.0)
        return max(0.05 * self._min_rtt.value, 0.003, packets)

    # Phases.

    def _enter(self, phase: Phase, now: float) -> None:
        if not {self.phase, phase} <= {Phase.PROBE, Phase.CRUISE}:
            self._probed_from = math.inf  # What is found now is no probe's doing.
        self.phase, self._phase_rounds, self._phase_until = phase, 0, None

    def _next_phase(self, now: float, sample: RateSample, share: float, heavy: bool) -> None:
        """At the end of a round trip."""
        queue = self._min_rtt.queue
        if self.phase is Phase.STARTUP:
            self._check_full(sample, heavy)
            if self._full_rounds >= FULL_ROUNDS:
                self._enter(Phase.DRAIN, now)
        elif self.phase is Phase.PROBE_RTT:
            return
        elif self._rival is not None:
            self._compete(self._rival, share, now)
        elif self._min_rtt.expired(now):
            self._enter(Phase.PROBE_RTT, now)
        elif self.phase is Phase.CRUISE:
            if queue > self._queue_target + self._unmoved or self._queue_is_foreign:
                self._yield(now)
            elif self._phase_rounds == 1 and self._bandwidth.value > GROWS * self._probed_from:
                # What the look showed is acknowledged a round trip later.
                self._probe(now, found=True)
            elif self._phase_rounds >= CRUISE_ROUNDS:
                self._probe(now)
        elif self.phase is Phase.PROBE:
            if queue > self._queue_target + self._unmoved:
                self._yield(now)
            else:
                self._enter(Phase.CRUISE, now)
        elif self._phase_rounds >= YIELD_ROUNDS:
            # Sending less did not help: it is jitter, or somebody else's queue.
            self._stubborn = self._stubborn + 1 if self._queue_is_foreign else 0
            if self._stubborn >= (1 if self._queue_is_long else STUBBORN):
                self._meet_rival(now)
                return
            self._unmoved += 0.25 * (min(queue, max(self._min_rtt.value / 3, 0.01)) - self._unmoved)
            self._enter(Phase.CRUISE, now)
        elif self._queue_is_long:
            # Jitter is not so long. Go down to what is delivered now: then it goes,
            # unless it is not ours.
            self._bandwidth.forget_before(self._round - 1)

    @property
    def _queue_is_long(self) -> bool:
        return self._min_rtt.queue > self._min_rtt.value / 2

    @property
    def _queue_is_foreign(self) -> bool:
        """Whether more stands in the queue than what is in flight can explain."""
        allowed = max(FOREIGN * self._min_rtt.value, FOREIGN_MIN_S)
        alone = self._most_bandwidth.value * self._min_rtt.value
        return (
            self._min_rtt.value >= RIVAL_MIN_RTT
            and self._min_rtt.queue > allowed
            and self.bytes_in_flight <= 1.1 * alone
        )

    def _meet_rival(self, now: float) -> None:
        self._rival = Rival(now, self.bytes_in_flight, datagram=self.max_datagram_size)
        self._rival.claim(self._most_bandwidth.value * self._min_rtt.last_round)
        self._stubborn = 0
        self._enter(Phase.COMPETE, now)

    def _compete(self, rival: Rival, share: float, now: float) -> None:
        calm = self._min_rtt.queue <= CALM * self._min_rtt.value
        rival.calm_rounds = rival.calm_rounds + 1 if calm else 0
        if rival.calm_rounds >= 2 or now - rival.since > LASTS:
            self._rival = None
            self._enter(Phase.CRUISE if calm else Phase.PROBE_RTT, now)
        elif share > 1.5 * self._tolerated:
            rival.lost(now)
            self._backed_off_at, self._loss_before = now, (0, 0)
        else:
            rival.grow(now, self._min_rtt.last_round)
            rival.claim(self._most_bandwidth.value * self._min_rtt.last_round)

    def _probe(self, now: float, *, found: bool = False) -> None:
        """Look for more bandwidth, boldly if the last look found some."""
        self._probed_from = self._bandwidth.value
        self._bold = found
        self._enter(Phase.PROBE, now)

    def _yield(self, now: float) -> None:
        # Where a queue stands, delivery is the bandwidth: older, larger samples were
        # too large. Not so in the phase that begins: it sends less than that.
        self._bandwidth.forget_before(self._round - 2)
        self._enter(Phase.YIELD, now)

    def _check_full(self, sample: RateSample, heavy: bool) -> None:
        bandwidth = self._bandwidth.value
        if heavy:
            self._full_rounds = FULL_ROUNDS
        elif self._held is not None:
            if self._round >= self._held.round + 2:
                if bandwidth < 1.5 * self._held.bandwidth:
                    self._full_rounds = FULL_ROUNDS
                self._held = None
        elif bandwidth >= 1.25 * self._full_bandwidth:
            self._full_bandwidth, self._full_rounds = bandwidth, 0
        elif not sample.app_limited:
            self._full_rounds += 1

    def _hold_start(self) -> None:
        """Stop growing while a queue shows, until it is known whether the path is full.

        As HyStart++ does (RFC 9406): what is in flight is kept for a round trip. If
        the queue was jitter, delivery still grows a lot in it, and start-up goes on.
        """
        rtt = self._min_rtt
        waits = rtt.this_round - rtt.value > max(rtt.value / 8, HOLD_S)
        if self._held is None and rtt.samples >= HOLD_SAMPLES and waits:
            self._held = Held(self._round, self._bandwidth.value, self.bytes_in_flight)

    def _is_drained(self) -> bool:
        if self.bytes_in_flight > self._bdp:
            return False
        rtt = self._min_rtt
        # The round under way says it sooner than the one before.
        gone = min(rtt.last_round, rtt.this_round) - rtt.value
        return self.phase is Phase.DRAIN or gone <= self._queue_target / 2 + self._unmoved

    def _look_at_rtt(self, now: float) -> None:
        if self._phase_until is None:
            if self.bytes_in_flight <= max(
                SHAPES[Phase.PROBE_RTT].window * self._bdp,
                MINIMUM_WINDOW * self.max_datagram_size,
            ):
                self._phase_until = now + max(PROBE_RTT_LASTS, self._min_rtt.value)
                self._phase_rounds = 0
        elif now >= self._phase_until and self._phase_rounds >= 1:
            self._min_rtt.replace(self._min_rtt.last_round, now)
            self._enter(Phase.CRUISE, now)

    # Acting.

    def _set_window(self) -> None:
        shape = SHAPES[self.phase]
        bandwidth = self._bandwidth.value / (1 - self._tolerated)
        window = shape.window * self._bdp
        if self.phase is not Phase.PROBE_RTT:
            window += self._aggregation.value + HOST_DELAY * bandwidth
        if self.phase is Phase.STARTUP:
            window = max(window, INITIAL_WINDOW * self.max_datagram_size)
            if self._remembered is not None:
                window = max(window, self._remembered.bdp / 2)
            if self._held is not None:
                window = min(window, self._held.in_flight)
        if self._rival is not None:
            window = self._rival.window
            bandwidth = window / self._min_rtt.last_round
        window = min(window, self._ceiling)
        if window < self._ceiling / 2 and self._ceiling < math.inf:
            self._ceiling = math.inf
        self.congestion_window = int(max(window, MINIMUM_WINDOW * self.max_datagram_size))
        gain = shape.pacing
        if self.phase is Phase.PROBE:
            gain = 1 + min(gain - 1, max(PROBE_S / self._min_rtt.value, 0.05))
            if self._bold:
                gain = BOLD
        rate = gain * bandwidth
        if self.phase is Phase.STARTUP:
            rate = max(rate, INITIAL_WINDOW * self.max_datagram_size / self._min_rtt.value)
            if self._remembered is not None:
                rate = max(rate, self._remembered.bandwidth / 2)
        self.pacing_rate = rate


register_congestion_control(MODEL_BASED, ModelBased)
