"""Retry tokens: proof that a client receives at its address (RFC 9000 section 8.1.2)."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Any

from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicHeader, QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.retry import NONCE_LENGTH, QuicRetryTokenHandler
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

REFUSALS_PER_SECOND = 100
"""Bad tokens that are answered in a second: each answer costs 0.2 ms. Clients whose
token is not refused wait until their own patience ends."""

_REFUSAL_SIZE = 128
"""Bytes that hold the whole of a refusal."""


class RetryTokens(QuicRetryTokenHandler):
    """aioquic's tokens under a key that outlives the process.

    A client that was sent away with a token just before a restart comes back with
    it, and processes that share a port take each other's tokens.

    :param key: the static key.
    :param now: the time of the day in seconds. The token outlives the process's own
        clock, which may begin anew when the machine does.
    """

    def __init__(self, key: bytes, *, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._aead = AESGCM(hmac.digest(key, b"quic retry token", "sha256")[:16])
        self._now = now

    def create_token(self, **contents: Any) -> bytes:
        """A token; see the base class."""
        return super().create_token(**contents | {"now": self._now()})

    def validate_token(self, **contents: Any) -> bytes:
        """The client's first destination connection id; ValueError for a bad token."""
        return super().validate_token(**contents | {"now": self._now()})

    def age(self, token: bytes) -> float:
        """Seconds since a valid token was made: a round trip, unless a packet was lost."""
        contents = self._aead.decrypt(token[:NONCE_LENGTH], token[NONCE_LENGTH:], None)
        made_ms = int.from_bytes(contents[-8:], "big")  # its last field
        return max(0.0, self._now() - made_ms / 1000)


def refusal(header: QuicHeader, version: int) -> bytes:
    """The answer to a bad Retry token (RFC 9000 sections 8.1.2 and 8.1.3).

    A client accepts one Retry only, so another would not help it: the connection is
    closed with INVALID_TOKEN before it began, and the client may begin anew at once.

    :param header: of the Initial packet that brought the token.
    """
    keys = CryptoPair()
    keys.setup_initial(cid=header.destination_cid, is_client=False, version=version)
    builder = QuicPacketBuilder(
        host_cid=header.destination_cid,
        peer_cid=header.source_cid,
        version=version,
        is_client=False,
        max_datagram_size=_REFUSAL_SIZE,
    )
    builder.start_packet(QuicPacketType.INITIAL, keys)
    frame = builder.start_frame(QuicFrameType.TRANSPORT_CLOSE)
    for field in (QuicErrorCode.INVALID_TOKEN, QuicFrameType.PADDING, 0):
        frame.push_uint_var(field)  # the error, the type of the frame at fault, no words
    [datagram], _ = builder.flush()
    return datagram
