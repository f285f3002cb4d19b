from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, TimeoutError  # noqa: A004
from twisted.internet.error import DNSLookupError

from edgetainer.errors import EdgetainerError
from edgetainer.quic.errors import ConnectionClosed, SessionClosed, SessionRefused
from edgetainer.tunnel.failures import explain

PROBLEM = b'{"code":"certificate_refused","detail":"Revoked.","type":"x","status":401}'


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (ConnectionClosed(0x100 + 44, "", by_peer=True), "certificate_refused"),
        (ConnectionClosed(0x100 + 44, "untrusted", by_peer=False), "unavailable"),
        (ConnectionClosed(0x100, "no answer in time", by_peer=False), "unavailable"),
        (ConnectionClosed(0, "", by_peer=False), "unavailable"),
        (ConnectionClosed(0xED01, "", by_peer=True), "session_replaced"),
        (ConnectionClosed(0x10E, "", by_peer=True), "session_closed"),
        (SessionClosed(0xED02, ""), "certificate_refused"),
        (SessionRefused(401, PROBLEM), "certificate_refused"),
        (SessionRefused(403, b"go away"), "certificate_refused"),
        (SessionRefused(503, b'{"code":"later","detail":5}'), "unavailable"),
        (SessionRefused(404, b""), "unavailable"),
        (TimeoutError(), "unavailable"),
        (CancelledError(), "unavailable"),
        (DNSLookupError(), "unavailable"),
        (OSError(101, "Network is unreachable"), "unavailable"),
        (EdgetainerError("session_replaced"), "session_replaced"),
        (None, "session_closed"),
    ],
)
def test_every_failure_has_a_code_and_a_sentence(reason: BaseException | None, code: str) -> None:
    error = explain(reason)
    assert error.code == code
    assert error.detail


def test_words_of_strangers_are_cleaned() -> None:
    assert "\n" not in explain(ConnectionClosed(0, "a\nb", by_peer=False)).detail
    assert len(explain(OSError("x" * 9_000)).detail) <= 1_000


def test_the_servers_own_words_reach_the_log() -> None:
    assert explain(SessionRefused(401, PROBLEM)).detail == "Revoked."
    assert "404" in explain(SessionRefused(404, b"<html>")).detail


def test_only_a_certificate_that_was_refused_is_called_so() -> None:
    silent = explain(ConnectionClosed(0x100, "no answer in time", by_peer=False))
    assert silent.detail == "The connection ended: no answer in time"
    refused = explain(ConnectionClosed(0x100 + 48, "unknown CA", by_peer=False))
    assert "certificate is not acceptable" in refused.detail
