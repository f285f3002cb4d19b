"""The capsules of a CONNECT stream (RFC 9297 section 3.2)."""

from __future__ import annotations

from aioquic._buffer import Buffer, BufferReadError
from aioquic.buffer import encode_uint_var

CLOSE_SESSION = 0x2843
"""CLOSE_WEBTRANSPORT_SESSION: a 32-bit code and a reason."""

MAX_REASON = 1024
"""Bytes of a closing reason (draft-ietf-webtrans-http3, section 5)."""


def close_capsule(code: int, reason: str) -> bytes:
    """The capsule that ends a session."""
    payload = code.to_bytes(4, "big") + reason.encode()[:MAX_REASON]
    return encode_uint_var(CLOSE_SESSION) + encode_uint_var(len(payload)) + payload


class CapsuleReader:
    """Reads capsules from a stream of bytes; skips the unknown without keeping them."""

    def __init__(self) -> None:
        self._buffer = b""
        self._skip = 0

    def feed(self, data: bytes) -> tuple[int, str] | None:
        """Take bytes; return the code and reason of a closing capsule once it is whole."""
        self._buffer += data
        while self._buffer:
            if self._skip:
                skipped = min(self._skip, len(self._buffer))
                self._skip -= skipped
                self._buffer = self._buffer[skipped:]
                continue
            head = Buffer(data=self._buffer)
            try:
                kind = head.pull_uint_var()
                length = head.pull_uint_var()
            except BufferReadError:
                return None
            rest = self._buffer[head.tell() :]
            if kind != CLOSE_SESSION or not 4 <= length <= 4 + MAX_REASON:
                self._skip = length
                self._buffer = rest
                continue
            if len(rest) < length:
                return None
            reason = rest[4:length].decode("utf-8", "replace")
            return int.from_bytes(rest[:4], "big"), reason
        return None
