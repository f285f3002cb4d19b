"""What can go wrong on a connection, as exceptions of Twisted's own families.

Protocols written for TCP look for `ConnectionLost` and `ConnectionDone` in
`connectionLost`, so the failures here are kinds of these.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from edgetainer.quic.codes import CLEAN, NO_ERROR


class Lost(ConnectionLost):
    """A connection or a part of it is lost; the text is ours, without Twisted's preface."""

    def __str__(self) -> str:
        return str(self.args[0])


class ConnectionClosed(Lost):
    """The QUIC connection has ended.

    :param code: the error code of the CONNECTION_CLOSE frame (RFC 9000 section
        20), or the one that aioquic reports for a time-out.
    :param reason: the peer's or our own words; hostile text when the peer's.
    :param by_peer: whether the peer ended it.
    """

    def __init__(self, code: int, reason: str, *, by_peer: bool) -> None:
        self.code = code
        self.reason = reason
        self.by_peer = by_peer
        who = "the peer" if by_peer else "this side"
        super().__init__(f"QUIC connection closed by {who}: 0x{code:x} {reason}".rstrip())


class ConnectionReset(ConnectionClosed):
    """The peer knows nothing of the connection any more: it was restarted.

    It said so with a stateless reset (RFC 9000 section 10.3), which carries no code.
    """

    def __init__(self) -> None:
        super().__init__(NO_ERROR, "it was restarted (stateless reset)", by_peer=True)


class StreamReset(Lost):
    """The peer abandoned one stream (RESET_STREAM, RFC 9000 section 19.4)."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"stream reset by the peer: 0x{code:x}")


class StreamLimit(Exception):
    """The peer's limit on open streams is reached (RFC 9000 section 4.6)."""


class SessionRefused(Exception):
    """The server answered the extended CONNECT with something else than 2xx.

    :param status: the HTTP status.
    :param body: at most the first 64 KiB of the answer's body.
    """

    def __init__(self, status: int, body: bytes = b"") -> None:
        self.status = status
        self.body = body
        super().__init__(f"WebTransport session refused with status {status}")


class SessionClosed(Lost):
    """The peer closed the WebTransport session with an error code.

    :param code: the application's error code, 32 bits.
    :param reason: the peer's words, at most 1,024 bytes.
    """

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"WebTransport session closed: {code} {reason}".rstrip())


class ResponseTooLarge(Exception):
    """The body of an HTTP response is larger than the caller allowed."""


class CertificateRefused(Exception):
    """A peer's certificate is not acceptable; the text is safe to show to the peer."""


def tell_end(waiter: Deferred[None], reason: Failure) -> None:
    """Fire what `notify_close` gave: with None if the end was wanted, else the reason."""
    error = reason.value
    wanted = isinstance(error, ConnectionClosed) and error.code in CLEAN
    if wanted and not isinstance(error, ConnectionReset):
        waiter.callback(None)
    else:
        waiter.errback(reason)


def failure(error: BaseException) -> Failure:
    """A Failure of this error; Twisted's own constructor has no types."""
    return Failure(error)  # type: ignore[no-untyped-call]
