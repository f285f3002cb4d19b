"""Staying connected while addresses change (RFC 9000 sections 8.2 and 9).

A client that knows of a change calls `migrate`: its first packet from the new
address leaves at once, and again at short intervals until it is answered. On
another carrier it first makes sure that the new way works, and uses the old one
meanwhile. A NAT that changes its mind is noticed by the server alone, which
follows the client's newest packet (aioquic does that).

Addresses here are `carriers.Route`.
"""

from __future__ import annotations

from dataclasses import dataclass

from aioquic import tls
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.connection import QuicConnection, QuicNetworkPath
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder

from edgetainer.quic.carriers import Route
from edgetainer.quic.recovery import Recovery

PROBE_INTERVAL = 0.2
"""Seconds between the first probe of a new path and the second: the probe time-out
of a path of which nothing is known. Then it doubles."""

LONGEST_PROBE_INTERVAL = 2.0
"""Seconds between later probes, as for any other probe."""

PROBES = 10
"""Probes of one path, which take 15 s: a route comes up in that time, or another
event says that it did. On a path in use recovery's own probes go on."""

LINGER = 3.0
"""Probe time-outs for which an abandoned path is still listened to: the server's
last packets are on it."""

_UNLIMITED = 1 << 62  # bytes; the amplification limit is for servers


@dataclass
class _Move:
    """One move of the client, until it is answered.

    :param path: the path to be used.
    :param probe_at: when to probe it next.
    :param interval: seconds from then to the probe that follows.
    :param left: probes that are left.
    """

    path: QuicNetworkPath
    probe_at: float
    interval: float
    left: int = PROBES


class Paths(QuicConnection):
    """A connection that moves, and that notices when its peer does."""

    _loss: Recovery

    migrations = 0
    """Times that the peer was reached on another path, and answered there."""

    _move: _Move | None = None
    _active: QuicNetworkPath | None = None
    _used: QuicNetworkPath | None = None
    _leaving: tuple[float, QuicNetworkPath] | None = None

    def migrate(self, route: Route, *, now: float) -> None:
        """Clients: from now on reach the server by this route.

        The same route means that the address on our side has changed: what is under
        way is lost, so everything takes the new way at once. Another route is used
        once the server has answered on it, and forgotten when it does not.

        Before the handshake is confirmed nothing is done (RFC 9000 section 9); its
        own packets are sent again soon enough.
        """
        if not self._handshake_confirmed or self._close_event is not None:
            return
        self._give_up_move()
        interval = max(PROBE_INTERVAL, min(self._loss.get_probe_timeout(), LONGEST_PROBE_INTERVAL))
        path = self._find_network_path(route)
        if path is self._network_paths[0]:
            # Without a spare connection id the old one has to do: being linked to
            # our old address (section 9.5) is better than being cut off.
            self.change_connection_id()
            self._network_changed()
            self._loss.on_path_changed(now=now)
        else:
            if path not in self._network_paths:
                self._add_network_path(path)
            path.is_validated = path.local_challenge_sent = False
            path.bytes_received = _UNLIMITED
            if self._leaving is not None and self._leaving[1] is path:
                self._leaving = None
        self._move = _Move(path, probe_at=now, interval=interval)

    def routes(self) -> list[Route]:
        """Every route over which something may still come or go."""
        return [path.addr for path in self._network_paths]

    # Overridden: time and datagrams.

    def get_timer(self) -> float | None:
        """When to call `handle_timer`; see the base class."""
        at = super().get_timer()
        if at is None or self._close_event is not None:
            return at
        if self._move is not None:
            at = min(at, self._move.probe_at)
        if self._leaving is not None:
            at = min(at, self._leaving[0])
        return at

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Route]]:
        """What to send, and by which route; see the base class."""
        probes: list[tuple[bytes, Route]] = []
        if self._close_event is None and self._network_paths:
            self._watch_path(now)
            if self._leaving is not None and now >= self._leaving[0]:
                self._forget(self._leaving[1])
                self._leaving = None
            if self._move is not None:
                probes = self._go_on(self._move, now)
        return probes + super().datagrams_to_send(now)

    # The client's moves.

    def _go_on(self, move: _Move, now: float) -> list[tuple[bytes, Route]]:
        begun = move.left < PROBES
        if begun and not move.path.local_challenges:
            # Its challenges were answered; `_watch_path` has seen to another path.
            self._move = None
            if move.path is self._network_paths[0] and self._leaving is None:
                self.migrations += 1
            return []
        if now < move.probe_at:
            return []
        if not move.left:
            self._give_up_move()
            return []
        move.left -= 1
        move.probe_at = now + move.interval
        move.interval = min(2 * move.interval, LONGEST_PROBE_INTERVAL)
        if move.path is self._network_paths[0]:
            return self._probe(move.path, now)
        # The base sends its challenge, with a connection id of its own.
        move.path.local_challenge_sent = False
        return []

    def _probe(self, path: QuicNetworkPath, now: float) -> list[tuple[bytes, Route]]:
        """One datagram on the path in use, whatever the congestion window is.

        The challenge asks whether the path carries full datagrams both ways and lifts
        the server's amplification limit with its padding (section 8.2.1); the PING
        makes the server follow (section 9.2).
        """
        builder = self._begin_probe(SMALLEST_MAX_DATAGRAM_SIZE)
        self._write_path_challenge_frame(builder, path)
        self._write_ping_frame(builder, comment="migration")
        return self._flush_builder(builder, path, self._peer_cid.cid, now)

    def _begin_probe(self, size: int) -> QuicPacketBuilder:
        """A packet of its own in a datagram of at most `size` bytes, on the path in use."""
        assert self._version is not None
        builder = QuicPacketBuilder(
            host_cid=self.host_cid,
            is_client=self._is_client,
            max_datagram_size=size,
            packet_number=self._packet_number,
            peer_cid=self._peer_cid.cid,
            quic_logger=self._quic_logger,
            spin_bit=self._spin_bit,
            version=self._version,
        )
        builder.start_packet(QuicPacketType.ONE_RTT, self._cryptos[tls.Epoch.ONE_RTT])
        return builder

    def _give_up_move(self) -> None:
        move, self._move = self._move, None
        if move is not None:
            self._forget(move.path)

    def _forget(self, path: QuicNetworkPath) -> None:
        if path in self._network_paths[1:]:
            self._network_paths.remove(path)
            if path.peer_cid is not None:
                self._retire_peer_cid(path.peer_cid)

    # Both ends.

    def _watch_path(self, now: float) -> None:
        """Notice that another path is in use, as soon as it has proved to be the peer's."""
        path = self._network_paths[0]
        if path is not self._active:
            active, self._active = self._active, path
            if active is not None and not _same_network(active.addr, path.addr):
                self._network_changed()
        if path is self._used or not path.is_validated:
            return
        before, self._used = self._used, path
        if before is None:
            return
        self.migrations += 1
        if not _same_network(before.addr, path.addr):
            self._loss.on_path_changed(now=now)
        if self._is_client:
            self._leaving = (now + LINGER * self._loss.get_probe_timeout(), before)
            self._send_probe()

    def _network_changed(self) -> None:
        """Packets go over another network from now on, be it proved or not."""

    def _send_probing_frames(
        self, network_path: QuicNetworkPath, now: float
    ) -> list[tuple[bytes, Route]]:
        # What passes on the path in use may be too large for another.
        size, self._max_datagram_size = self._max_datagram_size, SMALLEST_MAX_DATAGRAM_SIZE
        try:
            return super()._send_probing_frames(network_path, now)
        finally:
            self._max_datagram_size = size


def _same_network(one: Route, other: Route) -> bool:
    """Whether only the port has changed: a NAT's doing, on the same path (section 9.4)."""
    return (
        one.carrier is other.carrier
        and type(one.address) is type(other.address)
        and one.address[0] == other.address[0]
    )
