"""aioquic's QUIC connection, with the bounds and the identity that it lacks.

Nine things are added, all by overriding names that aioquic keeps private
(`tests/quic/test_contract.py` names each, and the version is pinned):

- *Receive credit follows consumption*: whoever is handed bytes by `next_event`
  calls `consume` for each of them, exactly once, when the reader took them.
- *Unsent bytes are counted*, so that producers can be paused.
- *Client certificates* are asked for, required and judged inside the handshake.
- *Streams take turns*, and idle ones cost nothing.
- *Recovery is quick, and takes back what it did in error* (`recovery`).
- *Clients move* to another address or carrier when they are told to.
- *A server that was restarted says so*, and its clients believe it.
- *Datagrams are as large as the path takes* (`mtu`).
- *Keys are changed* before they wear out.

Like its base it never touches a socket or a clock.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    END_STATES,
    QuicConnectionId,
    QuicConnectionState,
    QuicReceiveContext,
)

from edgetainer.quic.acks import Acknowledging
from edgetainer.quic.budget import PROCESS, Budget
from edgetainer.quic.congestion import ModelBased
from edgetainer.quic.copies import Copying
from edgetainer.quic.credit import (
    CONNECTION_WINDOW,
    HELD_MAX,
    STREAM_WINDOW,
    WINDOW_MAX,
    Window,
)
from edgetainer.quic.handshake import (
    VerifyClient,
    require_client_certificate,
    require_server_purpose,
)
from edgetainer.quic.keys import Keys
from edgetainer.quic.mtu import Sizing
from edgetainer.quic.ordinary import Ordinary
from edgetainer.quic.qlog import Recordable
from edgetainer.quic.receiving import Receiving
from edgetainer.quic.recovery import Recovery
from edgetainer.quic.reset import MakeToken, Resettable
from edgetainer.quic.schedule import Priority
from edgetainer.quic.sender import StreamSender
from edgetainer.quic.statistics import Counting

# Else Python writes a line to standard error for every peer that breaks a rule, and
# whoever floods the port fills the disk. Who wants to read them adds a handler.
logging.getLogger("quic").addHandler(logging.NullHandler())

CONNECTION_ID_LENGTH = 8
"""Bytes: one for the owner's tag, seven random."""

MAX_UNI_STREAMS = 16
"""HTTP/3 needs three (control and QPACK); the rest is for unknown kinds, which
a peer may open and we ignore (RFC 9114 section 6.2)."""


@dataclass(frozen=True)
class Limits:
    """What one connection may cost; bytes unless said otherwise.

    :param peer_streams: bidirectional streams that the peer may hold open.
    :param budget: what windows grow from, shared with other connections.
    """

    stream_window: int = STREAM_WINDOW
    stream_window_max: int = WINDOW_MAX
    connection_window: int = CONNECTION_WINDOW
    connection_window_max: int = WINDOW_MAX
    held_max: int = HELD_MAX
    peer_streams: int = 256
    budget: Budget = PROCESS


class Connection(
    Recordable,
    Counting,
    Sizing,
    Keys,
    Resettable,
    Copying,
    Acknowledging,
    Receiving,
    Ordinary,
):
    """One QUIC connection, either end.

    :param limits: the bounds of this end.
    :param verify_client: servers only: called inside the handshake with the
        client's chain, leaf first, after the client has proved that it holds the
        leaf's key. What it returns becomes `identity`; when it raises, the
        handshake is refused and no event is ever emitted. None asks for no
        certificate.
    :param owner: tag of the process that owns the connection, 0 to 255; the first
        byte of each connection id that it issues.
    :param make_token: servers: the stateless reset token of each connection id.
    :param rtt_guess: seconds that a round trip takes or once took, 0 if unknown; it
        decides when handshake messages are repeated.
    :raises ValueError: the configuration asks for a log of keys or of packets.
    """

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        limits: Limits,
        verify_client: VerifyClient | None = None,
        owner: int = 0,
        make_token: MakeToken | None = None,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
        rtt_guess: float = 0.0,
    ) -> None:
        if configuration.quic_logger is not None or configuration.secrets_log_file is not None:
            # Keys on a disk open what was recorded; a log without end fills the memory.
            raise ValueError("connections write down neither their keys nor their packets")
        # No session-ticket callbacks, hence no tickets and no early data: a
        # resumed handshake would skip the client's certificate.
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
        )
        self.identity: object | None = None
        self._limits = limits
        self._verify_client = verify_client
        self._owner = owner
        self._make_token = make_token
        self._held = self._lent = 0
        self._share = limits.budget.share()
        self._window = Window(limits.connection_window, limits.connection_window_max, self._share)
        self._local_max_data.value = self._local_max_data.sent = limits.connection_window
        self._local_max_stream_data_bidi_local = limits.stream_window
        self._local_max_stream_data_bidi_remote = limits.stream_window
        self._local_max_stream_data_uni = limits.stream_window
        self._local_max_streams_bidi.value = limits.peer_streams
        self._local_max_streams_bidi.sent = limits.peer_streams
        self._local_max_streams_uni.value = MAX_UNI_STREAMS
        self._local_max_streams_uni.sent = MAX_UNI_STREAMS
        first = self._host_cids[0]
        self._name(first)
        self.host_cid = first.cid
        self._local_initial_source_connection_id = first.cid
        self._loss = Recovery(
            congestion_control_algorithm=configuration.congestion_control_algorithm,
            initial_rtt=configuration.initial_rtt,
            max_datagram_size=configuration.max_datagram_size,
            peer_completed_address_validation=not configuration.is_client,
            quic_logger=self._quic_logger,
            send_probe=self._send_probe,
            logger=self._logger,
        )
        self._loss.on_probe = self._copies.probe
        self._loss.guess_rtt(rtt_guess)

    # What the shell around it asks.

    @property
    def controller(self) -> ModelBased | None:
        """Congestion control, if it is ours."""
        return self._loss.controller

    @property
    def unanswered_probes(self) -> int:
        """Probe time-outs since the last acknowledgement."""
        return self._loss._pto_count

    @property
    def terminated(self) -> events.ConnectionTerminated | None:
        """Why the connection is over, from the moment it is closing or draining.

        aioquic's own event follows only three probe time-outs later.
        """
        return self._close_event if self._state in END_STATES else None

    @property
    def ended_by_peer(self) -> bool:
        """Whether a CONNECTION_CLOSE of the peer ended the connection (RFC 9000, 10.2.2).

        Not so when it was closed here, by the application or because of an
        error that was noticed here, nor when it timed out.
        """
        return self._state is QuicConnectionState.DRAINING

    @property
    def rtt(self) -> float:
        """Smoothed round-trip time in seconds; the configured guess before the first."""
        return self._loss.rtt.smoothed or self._loss.rtt.initial

    def next_event(self) -> events.QuicEvent | None:
        """The next event, or None; see the base class."""
        event = super().next_event()
        if isinstance(event, events.StreamReset):
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                # What never arrived in order is never handed out, so nobody will
                # consume it; its share of the connection's window comes back here.
                receiver = stream.receiver
                missing = receiver.highest_offset - receiver.starting_offset()
                receiver._buffer.clear()
                self._consume_connection(missing, now=self.last_received or 0.0)
        return event

    # Receiving.

    def consume(self, stream_id: int, count: int, *, now: float) -> None:
        """Grant credit for `count` bytes that a reader took.

        :param stream_id: the stream they came on; it may be finished already.
        :param now: seconds on the clock that drives the connection.
        """
        stream = self._stream(stream_id)
        if stream is not None and not stream.receiver.is_finished:
            if stream.window is None:
                stream.window = Window(self._limits.stream_window, self._limits.stream_window_max)
            limit = stream.window.consume(count, now=now, rtt=self.rtt)
            if limit != stream.max_stream_data_local:
                stream.max_stream_data_local = limit
                self._schedule.tell(stream)
        self._consume_connection(count, now=now)

    def hold(self, count: int, *, now: float) -> None:
        """Note that `count` bytes wait for a paused reader; negative when it took them.

        A stream's own window bounds them, so up to `Limits.held_max`, and while the
        budget lasts, they do not count against the connection's window: one stalled
        reader must not stall the others.
        """
        self._held += count
        lent = min(self._held, self._limits.held_max)
        if lent < self._lent:
            self._share.give_back(self._lent - lent)
            self._lent = lent
        elif self._share.take(lent - self._lent):
            self._lent = lent
        if count > 0:
            self._consume_connection(0, now=now)

    def _consume_connection(self, count: int, *, now: float) -> None:
        self._local_max_data.value = self._window.consume(
            count, held=self._lent, now=now, rtt=self.rtt
        )

    def release(self) -> None:
        """The connection is over: give back what it had of the budget."""
        self._share.close()

    def buffered(self) -> int:
        """Bytes that this end keeps in the buffers of its streams, both directions."""
        return sum(
            len(stream.receiver._buffer) + len(stream.sender._buffer)
            for stream in self._streams.values()
        )

    # Sending.

    def priority(self, stream_id: int) -> Priority:
        """How urgent this end's bytes on the stream are."""
        stream = self._stream(stream_id)
        return Priority.REQUEST if stream is None else stream.priority

    def can_open_stream(self) -> bool:
        """Whether the peer's limit admits one more bidirectional stream at once."""
        return self._local_next_stream_id_bidi // 4 < self._remote_max_streams_bidi

    def stream_is_open(self, stream_id: int) -> bool:
        """Whether the stream's state is still kept."""
        return stream_id in self._streams

    def can_send(self, stream_id: int) -> bool:
        """Whether more bytes may be written to the stream."""
        stream = self._streams.get(stream_id)
        return (
            stream is not None
            and self._stream_can_send(stream_id)
            and not stream.sender.is_finished
            and stream.sender._buffer_fin is None
            and stream.sender._reset_error_code is None
        )

    def abandon(self, stream_id: int, error_code: int, *, reading: bool, writing: bool) -> None:
        """Give up one or both halves of a stream, whatever state it is in.

        :param error_code: for RESET_STREAM and STOP_SENDING (RFC 9000 section 3.5).
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if writing and self._stream_can_send(stream_id):
            stream.sender.reset(error_code)
        if reading and self._stream_can_receive(stream_id) and not stream.receiver.is_finished:
            stream.receiver.stop(error_code)

    # Overridden: connection ids.

    def _replenish_connection_ids(self) -> None:
        known = self._host_cid_seq
        super()._replenish_connection_ids()
        for connection_id in self._host_cids:
            if connection_id.sequence_number >= known:
                self._name(connection_id)

    def _name(self, connection_id: QuicConnectionId) -> None:
        connection_id.cid = tagged_connection_id(self._owner)
        if self._make_token is not None:
            connection_id.stateless_reset_token = self._make_token(connection_id.cid)

    # Overridden: the handshake.

    def _payload_received(
        self, context: QuicReceiveContext, plain: bytes, crypto_frame_required: bool = False
    ) -> tuple[bool, bool]:
        # The packet with the client's first words may be lost, or turned away by a
        # busy server, and the probe behind it arrive first (RFC 9002 section 6.2.4).
        # The base takes that for a violation and ends the client's attempt.
        return super()._payload_received(context, plain)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        for stream in self._crypto_streams.values():
            stream.sender = StreamSender(None, True)
        if self._is_client:
            require_server_purpose(self.tls)
        elif self._verify_client is not None:
            require_client_certificate(
                self.tls,
                self._verify_client,
                identified=self._identified,
                peer=lambda: self._network_paths[0].addr.address,
            )

    def _identified(self, identity: object) -> None:
        self.identity = identity


def tagged_connection_id(owner: int) -> bytes:
    """A new random connection id that begins with its owner's tag."""
    return bytes([owner]) + os.urandom(CONNECTION_ID_LENGTH - 1)
