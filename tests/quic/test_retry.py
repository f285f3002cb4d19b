from __future__ import annotations

from typing import Any

import pytest

from edgetainer.quic.retry import RetryTokens

KEY = bytes(range(32))
ADDRESS = ("203.0.113.5", 40000)


def make(tokens: RetryTokens, **changes: Any) -> bytes:
    return tokens.create_token(
        address=ADDRESS,
        original_destination_connection_id=b"first",
        retry_source_connection_id=b"second",
        now=0.0,
    )


def check(tokens: RetryTokens, token: bytes, address: Any = ADDRESS) -> bytes:
    return tokens.validate_token(address=address, destination_cid=b"second", token=token, now=0.0)


def test_a_token_is_good_after_a_restart_and_in_another_process() -> None:
    token = make(RetryTokens(KEY, now=lambda: 1e9))
    assert check(RetryTokens(KEY, now=lambda: 1e9 + 5), token) == b"first"


def test_a_token_is_good_for_its_address_and_half_a_minute() -> None:
    token = make(RetryTokens(KEY, now=lambda: 1e9))
    with pytest.raises(ValueError, match="address"):
        check(RetryTokens(KEY, now=lambda: 1e9), token, ("203.0.113.6", 40000))
    with pytest.raises(ValueError, match="expired"):
        check(RetryTokens(KEY, now=lambda: 1e9 + 31), token)


def test_another_installations_token_is_not() -> None:
    with pytest.raises(ValueError, match="invalid"):
        check(RetryTokens(bytes(32)), make(RetryTokens(KEY)))


def test_a_tokens_age_is_about_a_round_trip() -> None:
    token = make(RetryTokens(KEY, now=lambda: 1e9))
    assert RetryTokens(KEY, now=lambda: 1e9 + 0.6).age(token) == pytest.approx(0.6, abs=0.002)
    assert RetryTokens(KEY, now=lambda: 1e9 - 60).age(token) == 0.0, "the clock was set back"
