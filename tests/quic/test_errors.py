"""Errors as protocols and people meet them."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost

from edgetainer.quic.errors import (
    ConnectionClosed,
    SessionClosed,
    SessionRefused,
    StreamReset,
    failure,
    tell_end,
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ConnectionClosed(0x12C, "bad certificate", by_peer=True),
            "QUIC connection closed by the peer: 0x12c bad certificate",
        ),
        (ConnectionClosed(0, "", by_peer=False), "QUIC connection closed by this side: 0x0"),
        (StreamReset(0x10C), "stream reset by the peer: 0x10c"),
        (SessionClosed(3, ""), "WebTransport session closed: 3"),
        (SessionRefused(403, b"no"), "WebTransport session refused with status 403"),
    ],
)
def test_they_say_who_and_why(error: Exception, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    "error", [ConnectionClosed(1, "", by_peer=True), StreamReset(1), SessionClosed(1, "")]
)
def test_protocols_written_for_tcp_know_them(error: Exception) -> None:
    assert isinstance(error, ConnectionLost)


@pytest.mark.parametrize(
    ("error", "clean"),
    [
        (ConnectionClosed(0, "", by_peer=True), True),
        (ConnectionClosed(0x100, "done", by_peer=False), True),
        (ConnectionClosed(1, "Idle timeout", by_peer=False), False),
        (SessionClosed(0, ""), False),
        (StreamReset(0x100), False),
    ],
)
def test_only_a_wanted_end_of_the_connection_is_no_failure(error: Exception, clean: bool) -> None:
    waiter: Deferred[None] = Deferred()
    told: list[object] = []
    tell_end(waiter, failure(error))
    waiter.addCallbacks(told.append, lambda reason: told.append(reason.value))
    assert told == [None if clean else error]
