"""The error codes that we send, by name."""

from __future__ import annotations

NO_ERROR = 0x0
"""QUIC: nothing went wrong (RFC 9000 section 20.1)."""

H3_NO_ERROR = 0x100
"""HTTP/3: nothing went wrong (RFC 9114 section 8.1, as are the next)."""

H3_INTERNAL_ERROR = 0x102
"""A mistake of ours."""

H3_STREAM_CREATION_ERROR = 0x103
"""The peer opened a stream that it may not open."""

H3_EXCESSIVE_LOAD = 0x107
"""The peer makes us work or store too much."""

H3_REQUEST_CANCELLED = 0x10C
"""The request or its response is not wanted any more."""

WEBTRANSPORT_APPLICATION_ERROR = 0x52E4A40FA8DB
"""WebTransport's application error 0 as a QUIC code (draft-ietf-webtrans-http3,
section 4.3)."""

SESSION_GONE = 0x170D7B68
"""WEBTRANSPORT_SESSION_GONE: streams of a session that is over."""

CLEAN = frozenset({NO_ERROR, H3_NO_ERROR})
"""Connections closed with these ended because somebody wanted it to."""
