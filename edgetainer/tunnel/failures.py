"""What a failed attempt or a lost connection means, as one of our errors."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, TimeoutError  # noqa: A004 - Twisted's name
from twisted.internet.error import DNSLookupError

from edgetainer.errors import EdgetainerError
from edgetainer.quic.errors import ConnectionClosed, ConnectionReset, SessionClosed, SessionRefused
from edgetainer.tunnel.closing import error_from_close, is_certificate_alert
from edgetainer.tunnel.messages import error_from
from edgetainer.tunnel.wire import load_object, printable


def explain(reason: BaseException | None) -> EdgetainerError:
    """The error to report for what ended an attempt or a connection.

    :param reason: None for a connection that ended cleanly.
    """
    if isinstance(reason, EdgetainerError):
        return reason
    if isinstance(reason, SessionRefused):
        return _refusal(reason)
    if isinstance(reason, ConnectionReset):
        return EdgetainerError("session_closed", "The server was restarted.")
    if isinstance(reason, ConnectionClosed):
        return _closed(reason)
    if isinstance(reason, SessionClosed):
        return error_from_close(reason.code)
    if isinstance(reason, CancelledError | TimeoutError):
        return EdgetainerError("unavailable", "The server did not answer in time.")
    if isinstance(reason, DNSLookupError):
        return EdgetainerError("unavailable", "The server's name is not known just now.")
    if reason is None:
        return EdgetainerError("session_closed", "The connection was closed.")
    return EdgetainerError("unavailable", printable(f"The server cannot be reached: {reason}"))


def _closed(reason: ConnectionClosed) -> EdgetainerError:
    if reason.by_peer:
        return error_from_close(reason.code)
    if is_certificate_alert(reason.code):
        # Our own TLS said no: not the device's certificate but the server's.
        return EdgetainerError(
            "unavailable",
            printable(f"The server's certificate is not acceptable: {reason.reason}"),
        )
    return EdgetainerError(
        "unavailable", printable(f"The connection ended: {reason.reason or 'no answer in time'}")
    )


def _refusal(refusal: SessionRefused) -> EdgetainerError:
    otherwise = "certificate_refused" if refusal.status in (401, 403) else "unavailable"
    try:
        error = error_from(load_object(refusal.body), otherwise=otherwise)
    except EdgetainerError:
        return EdgetainerError(
            otherwise, f"The server refused the session with status {refusal.status}."
        )
    return error
