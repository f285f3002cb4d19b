"""How large datagrams may be on a path (RFC 8899, RFC 9000 section 14.3).

Every path carries 1,200 bytes; most carry 1,452, and a loopback or a data centre
far more, which saves time for each packet. A larger size is tried with a packet of
nothing but padding, and used once that was acknowledged. When large packets stop
arriving while small ones go on (a black hole: a tunnel on the way, whose routers
say nothing), the size is 1,200 again and the search begins anew later.

There are no timers: probes go beside full datagrams only, when there is something
to gain. A quiet connection spends nothing on it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.packet import pull_quic_transport_parameters
from aioquic.quic.packet_builder import QuicDeliveryState

from edgetainer.quic.carriers import Route
from edgetainer.quic.migration import Paths

BASE = SMALLEST_MAX_DATAGRAM_SIZE
"""1,200 bytes: what every path of QUIC carries; the handshake has proved it."""

LADDER = (BASE, 1280, 1350, 1400, 1452, 4400, 8952)
"""Sizes that paths have, in bytes: IPv6's least, tunnels, Ethernet under IPv6,
and the jumbo frames of data centres. No frame's length takes more than two bytes
in these (RFC 9000 section 16), on which aioquic relies; and larger ones save
little time."""

PROBES = 3
"""Probes of one size that may be lost before it counts as too large (MAX_PROBES,
RFC 8899 section 5.1.2)."""

PROBE_TIMEOUT = 1.0
"""Seconds, at least, until a probe counts as lost if nothing else tells."""

RAISE_S = 600.0
"""Seconds until a larger size is tried once more (PMTU_RAISE_TIMER)."""

HOLD_S = 30.0
"""Seconds after a black hole until the search begins anew."""

BLACK_HOLE_LOSSES = 6
"""Large packets lost in a row, none sent later having arrived, that are taken for a
black hole and not for a bad moment of the link."""

LARGEST_PAYLOAD = 65527
"""Bytes of a UDP payload that a peer takes unless it says otherwise (RFC 9000, 18.2)."""


class State(Enum):
    """Where the search is (RFC 8899 section 5.2; its base is proved already)."""

    SEARCHING = auto()
    COMPLETE = auto()
    """The largest size that passes is in use, until it is time to look again."""
    HOLDING = auto()
    """A black hole was met: the base is in use, until it is time to look again."""


class Event(Enum):
    """What drives the search."""

    PASSED = auto()
    """The probe was acknowledged."""
    LOST = auto()
    """The probe was not."""
    BLACK_HOLE = auto()
    """Large packets do not arrive any more."""
    DUE = auto()
    """It is time to look again."""


class PathMtu:
    """The search on one path. It knows neither packets nor clocks.

    :param ceiling: the largest size that is worth trying, in bytes.

    :ivar size: the largest that is known to pass.
    """

    def __init__(self, ceiling: int) -> None:
        top = min(max(BASE, ceiling), LADDER[-1])
        self.size = BASE
        self._sizes = [size for size in LADDER if size < top]
        self._sizes.append(top)
        self._passes = 0  # the place in `_sizes` of the largest that passes
        self._fails = len(self._sizes)  # that of the smallest that does not
        self._failures = 0
        self._again_at = 0.0
        self._probed_until: float | None = None
        self._search(0.0)

    def probe(self, now: float, *, timeout: float) -> int | None:
        """The size to probe at this moment, or None; the answer counts as sent.

        :param timeout: a probe time-out of the connection, in seconds.
        """
        if self.state is not State.SEARCHING and now >= self._again_at:
            self._on(Event.DUE, now)
        if self._probed_until is not None and now >= self._probed_until:
            self._on(Event.LOST, now)
        if self.state is not State.SEARCHING or self._probed_until is not None:
            return None
        self._probed_until = now + max(PROBE_TIMEOUT, 3 * timeout)
        return self._candidate()

    def passed(self, size: int, now: float) -> None:
        """A probe of this size was acknowledged, perhaps after it had counted as lost."""
        if size > self.size and size in self._sizes:
            self._passes = self._sizes.index(size)
            self._fails = max(self._fails, self._passes + 1)
            self._on(Event.PASSED, now)

    def lost(self, size: int, now: float) -> None:
        """A probe of this size was lost."""
        if self._probed_until is not None and size == self._candidate():
            self._on(Event.LOST, now)

    def black_hole(self, now: float) -> None:
        """Packets of the present size do not arrive any more."""
        if self.size > BASE:
            self._on(Event.BLACK_HOLE, now)

    def _candidate(self) -> int:
        # The top first: it passes on most paths. Then halfway, as in a sorted list.
        top = len(self._sizes)
        step = top - 1 if self._fails == top else (self._passes + self._fails) // 2
        return self._sizes[step]

    def _on(self, event: Event, now: float) -> None:
        deed = _TABLE.get((self.state, event))
        if deed is not None:
            deed(self, now)

    # What is done; `_TABLE` says when.

    def _search(self, now: float) -> None:
        self.state = State.SEARCHING
        self._passes = self._sizes.index(self.size)
        self._fails = len(self._sizes)
        self._failures = 0
        self._probed_until = None
        self._next(now)

    def _passed(self, now: float) -> None:
        self.size = self._sizes[self._passes]
        self._failures, self._probed_until = 0, None
        self._next(now)

    def _lost(self, now: float) -> None:
        self._failures += 1
        self._probed_until = None
        if self._failures == PROBES:
            self._fails = self._sizes.index(self._candidate())
            self._failures = 0
            self._next(now)

    def _fall_back(self, now: float) -> None:
        self.size = BASE
        self.state = State.HOLDING
        self._probed_until = None
        self._again_at = now + HOLD_S

    def _next(self, now: float) -> None:
        if self._fails - self._passes <= 1:
            self.state = State.COMPLETE
            # At the top there is nothing more to find.
            at_top = self._passes == len(self._sizes) - 1
            self._again_at = float("inf") if at_top else now + RAISE_S


_TABLE: dict[tuple[State, Event], Callable[[PathMtu, float], None]] = {
    (State.SEARCHING, Event.PASSED): PathMtu._passed,
    (State.SEARCHING, Event.LOST): PathMtu._lost,
    (State.SEARCHING, Event.BLACK_HOLE): PathMtu._fall_back,
    (State.COMPLETE, Event.PASSED): PathMtu._passed,
    (State.COMPLETE, Event.BLACK_HOLE): PathMtu._fall_back,
    (State.COMPLETE, Event.DUE): PathMtu._search,
    (State.HOLDING, Event.DUE): PathMtu._search,
}


class Sizing(Paths):
    """A connection that finds out how large its datagrams may be."""

    _mtu: PathMtu | None = None
    _peer_takes = LARGEST_PAYLOAD
    _large_arrived = -1
    _large_lost = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._clock = 0.0

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Route]]:
        """What to send; see the base class."""
        self._clock = now
        datagrams = super().datagrams_to_send(now)
        if datagrams and self._handshake_confirmed and self._close_event is None:
            size = self._max_datagram_size
            if any(len(data) >= size for data, _ in datagrams):
                datagrams += self._probe_size(now)
        return datagrams

    def _probe_size(self, now: float) -> list[tuple[bytes, Route]]:
        path = self._network_paths[0]
        if not path.is_validated:
            return []
        if self._mtu is None:
            route: Route = path.addr
            ceiling = route.carrier.largest_datagram(route.address)
            self._mtu = PathMtu(min(ceiling, self._peer_takes))
        size = self._mtu.probe(now, timeout=self._loss.get_probe_timeout())
        if size is None:
            return []
        # The congestion window is full when there is bulk; a dozen probes in ten
        # minutes need not wait until it is not.
        builder = self._begin_probe(size)
        self._write_ping_frame(builder, comment="path MTU")
        builder._datagram_needs_padding = True
        [datagram], [packet] = builder.flush()
        # To the books it is no more than an acknowledgement: its loss says nothing of
        # congestion (RFC 9000 section 14.4) and is no reason to probe for an answer.
        packet.in_flight = packet.is_ack_eliciting = False
        packet.delivery_handlers = [(self._size_probed, (size, self._mtu))]
        packet.sent_time = now
        self._packet_number = builder.packet_number
        self._loss.on_packet_sent(packet=packet, space=self._spaces[tls.Epoch.ONE_RTT])
        path.bytes_sent += len(datagram)
        return [(datagram, path.addr)]

    def _size_probed(self, delivery: QuicDeliveryState, size: int, mtu: PathMtu) -> None:
        if delivery is QuicDeliveryState.ACKED:
            mtu.passed(size, self._clock)
        else:
            mtu.lost(size, self._clock)
        if mtu is self._mtu:
            self._use_size(mtu.size)

    def _use_size(self, size: int) -> None:
        if size != self._max_datagram_size:
            self._max_datagram_size = size
            self._loss.set_max_datagram_size(size)
            self._loss.on_large = None if size == BASE else self._large_delivered
            self._large_lost = 0

    def _large_delivered(self, delivery: QuicDeliveryState, packet_number: int) -> None:
        """What became of a packet that was larger than the base."""
        if delivery is QuicDeliveryState.ACKED:
            self._large_arrived = max(self._large_arrived, packet_number)
            self._large_lost = 0
        elif packet_number > self._large_arrived:
            self._large_lost += 1
            if self._large_lost >= BLACK_HOLE_LOSSES and self._mtu is not None:
                self._mtu.black_hole(self._clock)
                self._use_size(self._mtu.size)

    def _network_changed(self) -> None:
        super()._network_changed()
        self._mtu = None
        self._use_size(BASE)

    def _parse_transport_parameters(self, data: bytes, from_session_ticket: bool = False) -> None:
        super()._parse_transport_parameters(data, from_session_ticket)
        parameters = pull_quic_transport_parameters(Buffer(data=data))
        self._peer_takes = parameters.max_udp_payload_size or LARGEST_PAYLOAD
