"""Headers on their way into HTTP/3."""

from __future__ import annotations

import pytest

from edgetainer.quic.exchange import plain_headers


def test_names_go_in_lower_case_and_values_without_padding() -> None:
    assert plain_headers([(b"X-One", b" 1 "), (b"x-one", b"2"), (b"ETag", b'"A b"')]) == [
        (b"x-one", b"1"),
        (b"x-one", b"2"),
        (b"etag", b'"A b"'),
    ]


@pytest.mark.parametrize(
    "name",
    [b"Connection", b"Keep-Alive", b"Proxy-Connection", b"TE", b"Transfer-Encoding", b"Upgrade"],
)
def test_what_concerns_one_http1_connection_stays_behind(name: bytes) -> None:
    """A peer must treat a message with one of them as malformed (RFC 9114, 4.2)."""
    assert plain_headers([(name, b"x"), (b"content-type", b"text/plain")]) == [
        (b"content-type", b"text/plain")
    ]
