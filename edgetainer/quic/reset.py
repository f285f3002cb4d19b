"""Stateless reset: telling a peer that its connection is no more (RFC 9000 section 10.3).

A server that was killed knows none of its connections when it is back. Its
clients would send into the void until their patience ends; instead each of their
packets is answered with 16 bytes that only this server can have made for that
connection id, because they were promised in the old connection.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable

from aioquic.quic import events
from aioquic.quic.connection import QuicConnection, QuicReceiveContext
from aioquic.quic.packet import STATELESS_RESET_TOKEN_SIZE, QuicErrorCode

from edgetainer.quic.allowance import Allowance

MakeToken = Callable[[bytes], bytes]
"""The stateless reset token of a connection id."""

SMALLEST_RESET = 5 + STATELESS_RESET_TOKEN_SIZE
"""Bytes: with fewer than 38 unpredictable bits it would not look like a packet."""

LARGEST_RESET = 42
"""Bytes: enough for the shape of a small packet with any connection id; more would
only cost the client's data volume."""

RESETS_PER_SECOND = 1000
"""Ten thousand devices with a keepalive of 10 s come to this, at some 2 % of a core.
Beyond it resets are left out: the device's next packet asks again."""


class Resets:
    """Makes the tokens of a server's connection ids, and its resets.

    :param key: the static key (RFC 9000 section 10.3.2). It outlives the process, and
        processes that may receive each other's packets share it.
    :param owner: the tag of this process. Packets for connections of other owners
        are theirs to judge: a reset for one that lives would be a weapon for
        whoever can misdirect a packet (RFC 9000 section 21.11).
    """

    def __init__(self, key: bytes, *, owner: int) -> None:
        self._key = hmac.digest(key, b"quic stateless reset", "sha256")
        self._owner = owner
        self._allowance = Allowance(RESETS_PER_SECOND, RESETS_PER_SECOND)

    def token(self, connection_id: bytes) -> bytes:
        """The token of a connection id."""
        return hmac.digest(self._key, connection_id, "sha256")[:STATELESS_RESET_TOKEN_SIZE]

    def answer(self, datagram: bytes, connection_id: bytes, *, now: float) -> bytes | None:
        """The reset to send for a packet of an unknown connection, or None.

        It is always smaller than what it answers, so that two ends which both know
        nothing cannot go on for ever, and nobody is made to amplify.

        :param datagram: begins with a short header.
        :param connection_id: the destination in it.
        :param now: seconds on a clock that does not go back.
        """
        size = min(len(datagram) - 1, LARGEST_RESET)
        if connection_id[0] != self._owner or size < SMALLEST_RESET:
            return None
        if not self._allowance.take(now):
            return None
        unpredictable = bytearray(secrets.token_bytes(size - STATELESS_RESET_TOKEN_SIZE))
        unpredictable[0] = 0x40 | unpredictable[0] & 0x3F  # a short header's first two bits
        return bytes(unpredictable) + self.token(connection_id)


def is_reset(datagram: bytes, tokens: Iterable[bytes]) -> bool:
    """Whether a datagram that could not be read ends in one of these tokens.

    It takes the same time whatever the tokens are (RFC 9000 section 10.3.1).
    """
    if len(datagram) < SMALLEST_RESET:
        return False
    end = datagram[-STATELESS_RESET_TOKEN_SIZE:]
    found = False
    for token in tokens:
        found |= hmac.compare_digest(token, end)
    return found


class Resettable(QuicConnection):
    """A connection that believes its server's resets."""

    was_reset = False
    """Whether the peer has said that it knows nothing of the connection."""

    _processed = False

    def receive_datagram(self, data: bytes, addr: object, now: float) -> None:
        """Feed one datagram; see the base class."""
        self._processed = False
        super().receive_datagram(data, addr, now)
        if self._processed or not self._is_client or self._close_event is not None:
            return
        if any(path.addr == addr for path in self._network_paths) and is_reset(
            data, self._reset_tokens()
        ):
            self.was_reset = True
            self._close_event = events.ConnectionTerminated(
                error_code=QuicErrorCode.NO_ERROR,
                frame_type=None,
                reason_phrase="stateless reset",
            )
            self._close_begin(is_initiator=False, now=now)

    def _reset_tokens(self) -> list[bytes]:
        # Only of the ids in use: neither retired ones nor those still unused (10.3.1).
        used = [self._peer_cid, *(path.peer_cid for path in self._network_paths)]
        return [cid.stateless_reset_token for cid in used if cid and cid.stateless_reset_token]

    def _payload_received(
        self, context: QuicReceiveContext, plain: bytes, crypto_frame_required: bool = False
    ) -> tuple[bool, bool]:
        self._processed = True
        return super()._payload_received(context, plain, crypto_frame_required)
