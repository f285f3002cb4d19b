"""Why a connection was closed, as numbers on the wire.

The application error code of CONNECTION_CLOSE says why one end ended the
tunnel; the reason phrase repeats the stable code for people who read packets.
The numbers lie outside the ranges that HTTP/3 uses or reserves.
"""

from __future__ import annotations

from edgetainer.errors import EdgetainerError

#: Close codes by the code of the error; any other error goes as session_closed.
CLOSE_CODES = {
    "session_closed": 0xED00,  # wanted: an agent or server that stops, a silent device
    "session_replaced": 0xED01,  # a newer connection of the same device took over
    "certificate_refused": 0xED02,  # the device's key was revoked
    "protocol_violation": 0xED03,  # the peer broke PROTOCOL.md
    "unavailable": 0xED04,  # the server cannot serve the device now
}

#: QUIC's CRYPTO_ERROR range: 0x100 plus a TLS alert (RFC 9001, 4.8).
CRYPTO_ERRORS = range(0x100, 0x200)

#: TLS alerts with which a server refuses a client's certificate (RFC 8446, 6.2):
#: bad, unsupported, revoked, expired, unknown certificate, unknown authority,
#: access denied, certificate required.
_CERTIFICATE_ALERTS = frozenset({42, 43, 44, 45, 46, 48, 49, 116})


def is_certificate_alert(code: int) -> bool:
    """Whether a connection was closed because an end did not accept a certificate.

    The other TLS alerts share their numbers with HTTP/3's own codes: 0x100 is
    H3_NO_ERROR too.
    """
    return code in CRYPTO_ERRORS and code - CRYPTO_ERRORS.start in _CERTIFICATE_ALERTS


def close_code(error: EdgetainerError) -> int:
    """The number that tells the peer of `error`."""
    return CLOSE_CODES.get(error.code, CLOSE_CODES["session_closed"])


def error_from_close(code: int) -> EdgetainerError:
    """What the peer's close code means to this end."""
    for name, number in CLOSE_CODES.items():
        if number == code:
            return EdgetainerError(name)
    if is_certificate_alert(code):
        return EdgetainerError(
            "certificate_refused",
            "The server refused the device's certificate: it is revoked, expired, or of"
            " another installation. Enrol the device again.",
        )
    return EdgetainerError("session_closed", f"The connection was closed with code 0x{code:x}.")
