"""Retry tokens: proof that a client receives at its address (RFC 9000 section 8.1.2)."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Any

from aioquic.quic.retry import NONCE_LENGTH, QuicRetryTokenHandler
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


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
