"""What both ends of an HTTP/3 message have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from twisted.python.failure import Failure

Header = tuple[bytes, bytes]

CONNECTION_HEADERS = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade")
)
"""Headers of one HTTP/1.1 connection, which HTTP/3 forbids (RFC 9114 section 4.2)."""


class Exchange(Protocol):
    """One request and its response, at the end that receives one of them."""

    def headers_received(self, headers: list[Header], ended: bool) -> None:
        """A header block arrived: of the message, or its trailers."""

    def body_received(self, data: bytes, ended: bool) -> None:
        """A piece of the body arrived; it counts as taken when this returns."""

    def reset_received(self, code: int) -> None:
        """The peer gave up sending."""

    def stop_received(self) -> None:
        """The peer wants no more of what we send."""

    def connection_lost(self, reason: Failure) -> None:
        """The connection is over."""


class Incoming(Protocol):
    """One stream whose bytes are not HTTP/3 frames."""

    def data_received(self, data: bytes, fin: bool) -> None:
        """Bytes arrived in order; the receiver sees to it that they are consumed."""

    def reset_received(self, code: int) -> None:
        """The peer gave up sending."""

    def stop_received(self) -> None:
        """The peer wants no more of what we send."""

    def connection_lost(self, reason: Failure) -> None:
        """The connection is over."""


def plain_headers(headers: Iterable[Header]) -> list[Header]:
    """Headers as HTTP/3 wants them: lower case, none that concern one connection."""
    lowered = ((name.lower(), value.strip()) for name, value in headers)
    return [(name, value) for name, value in lowered if name not in CONNECTION_HEADERS]
