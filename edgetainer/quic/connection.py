"""aioquic's QUIC connection, with the bounds and the identity that it lacks.

Ten things are added, each by a part of its own that overrides names which aioquic
keeps private (`tests/quic/test_contract.py` names each, and the version is pinned):

- *Receive credit follows consumption* (`crediting`), and what else a peer's frames
  may cost is bounded (`receiving`).
- *Unsent bytes are counted*, so that producers can be paused; *streams take turns*,
  and idle ones cost nothing (`streams`, `writing`).
- *Client certificates* are asked for, required and judged inside the handshake
  (`handshake`).
- *Recovery is quick, and takes back what it did in error* (`recovery`); interactive
  bytes are copied on long paths (`copies`), acknowledgements are few (`acks`).
- *Clients move* to another address or carrier when they are told to (`migration`).
- *A server that was restarted says so*, and its clients believe it (`reset`).
- *Datagrams are as large as the path takes* (`mtu`).
- *Keys are changed* before they wear out (`keys`).
- *Ordinary packets* are taken the short way (`ordinary`).
- *It tells how it fares* (`statistics`, `qlog`).

Like its base it never touches a socket or a clock.
"""

from __future__ import annotations

import logging
import os

from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    END_STATES,
    QuicConnectionId,
    QuicConnectionState,
    QuicReceiveContext,
)

from edgetainer.quic.acks import Acknowledging
from edgetainer.quic.congestion import ModelBased
from edgetainer.quic.copies import Copying
from edgetainer.quic.crediting import Crediting, Limits
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
from edgetainer.quic.sender import StreamSender
from edgetainer.quic.statistics import Counting

# Else Python writes a line to standard error for every peer that breaks a rule, and
# whoever floods the port fills the disk. Who wants to read them adds a handler.
logging.getLogger("quic").addHandler(logging.NullHandler())

CONNECTION_ID_LENGTH = 8
"""Bytes: one for the owner's tag, seven random."""


class Connection(
    Recordable,
    Counting,
    Crediting,
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
            limits=limits,
            configuration=configuration,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
        )
        self.identity: object | None = None
        self._verify_client = verify_client
        self._owner = owner
        self._make_token = make_token
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
