"""What the connection itself has to say: the frames that belong to no stream.

Limits, connection ids, answers to challenges, probes, and TLS's last words; in
aioquic's order, and by its own methods wherever these do what is wanted.
"""

from __future__ import annotations

from aioquic import tls
from aioquic.quic.connection import Limit, QuicNetworkPath
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace

from edgetainer.quic.streams import Streams


class Announcing(Streams):
    """Writes the connection's own frames; a part of `connection.Connection`."""

    def _has_frames(self, network_path: QuicNetworkPath) -> bool:
        """Whether the connection itself has something to say."""
        if (
            self._ping_pending
            or self._probe_pending
            or not self._crypto_streams[tls.Epoch.ONE_RTT].sender.buffer_is_empty
        ):
            return True
        if not self._handshake_complete:
            return False
        return bool(
            self._handshake_done_pending
            or network_path.remote_challenges
            or not (network_path.is_validated or network_path.local_challenge_sent)
            or self._retire_connection_ids
            or self._streams_blocked_pending
            or self._local_max_data.value != self._local_max_data.sent
            or _is_due(self._local_max_streams_bidi)
            or _is_due(self._local_max_streams_uni)
            or not all(each.was_sent for each in self._host_cids)
        )

    def _write_frames(
        self,
        builder: QuicPacketBuilder,
        network_path: QuicNetworkPath,
        space: QuicPacketSpace,
        now: float,
    ) -> None:
        """The connection's own frames, in aioquic's order."""
        if self._handshake_complete:
            self._write_path_frames(builder, network_path, now)
            for connection_id in self._host_cids:
                if not connection_id.was_sent:
                    self._write_new_connection_id_frame(builder, connection_id)
            while self._retire_connection_ids:
                self._write_retire_connection_id_frame(builder, self._retire_connection_ids[0])
                self._retire_connection_ids.pop(0)
            if self._streams_blocked_pending:
                self._write_streams_blocked(builder)
            self._write_connection_limits(builder, space)
        if self._ping_pending:
            self._write_ping_frame(builder, self._ping_pending)
            self._ping_pending.clear()
        if self._probe_pending:
            self._write_ping_frame(builder, comment="probe")
            self._probe_pending = False
        crypto = self._crypto_streams[tls.Epoch.ONE_RTT]
        if not crypto.sender.buffer_is_empty:
            self._write_crypto_frame(builder, space, crypto)

    def _write_path_frames(
        self, builder: QuicPacketBuilder, network_path: QuicNetworkPath, now: float
    ) -> None:
        if not (network_path.is_validated or network_path.local_challenge_sent):
            # The client has moved (RFC 9000 section 9.3).
            self._write_path_challenge_frame(builder, network_path)
            if network_path.validation_deadline is None:
                # RFC 9000 section 8.2.4.
                network_path.validation_deadline = now + 3 * max(
                    self._loss.get_probe_timeout(), 2 * self._configuration.initial_rtt
                )
        if self._handshake_done_pending:
            self._write_handshake_done_frame(builder)
            self._handshake_done_pending = False
        while network_path.remote_challenges:
            self._write_path_response_frame(builder, network_path.remote_challenges[0])
            network_path.remote_challenges.popleft()

    def _write_streams_blocked(self, builder: QuicPacketBuilder) -> None:
        for blocked, frame_type, limit in (
            (
                self._streams_blocked_bidi,
                QuicFrameType.STREAMS_BLOCKED_BIDI,
                self._remote_max_streams_bidi,
            ),
            (
                self._streams_blocked_uni,
                QuicFrameType.STREAMS_BLOCKED_UNI,
                self._remote_max_streams_uni,
            ),
        ):
            if blocked:
                self._write_streams_blocked_frame(builder, frame_type, limit)
        self._streams_blocked_pending = False

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        # The base doubles the limit when half of it is used; `consume` decides here.
        limit = self._local_max_data
        used, limit.used = limit.used, 0
        try:
            super()._write_connection_limits(builder, space)
        finally:
            limit.used = used


def _is_due(limit: Limit) -> bool:
    """Whether MAX_STREAMS goes out: when it grants more than the peer has left."""
    return limit.sent - limit.used < limit.value - limit.sent
