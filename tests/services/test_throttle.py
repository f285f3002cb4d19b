from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edgetainer.services import throttle as module
from edgetainer.services.throttle import Throttle, TooManyAttempts, address_key


class Time:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def throttle(time):
    return Throttle(now=time, attempts=3, window=timedelta(minutes=15))


def test_so_many_in_so_much_time(throttle, time):
    for _ in range(3):
        throttle.attempt(["a"])
        time.now += timedelta(minutes=1)
    with pytest.raises(TooManyAttempts) as caught:
        throttle.attempt(["a"])
    assert caught.value.code == "too_many_attempts"
    assert caught.value.retry_after_s == 12 * 60
    assert "12 minutes" in caught.value.detail
    throttle.attempt(["b"])
    time.now += timedelta(minutes=12)
    throttle.attempt(["a"])
    with pytest.raises(TooManyAttempts):
        throttle.attempt(["a"])


def test_a_clock_that_is_set_back_keeps_nobody_out(throttle, time):
    for _ in range(3):
        throttle.attempt(["a"])
    time.now -= timedelta(days=365)
    throttle.attempt(["a"])


def test_a_refused_attempt_counts_nowhere(throttle):
    for _ in range(3):
        throttle.attempt(["a"])
    for _ in range(5):
        with pytest.raises(TooManyAttempts):
            throttle.attempt(["b", "a"])
    for _ in range(3):
        throttle.attempt(["b"])


def test_forgiven(throttle):
    for _ in range(10):
        throttle.attempt(["a", "b"])
        throttle.forgive(["a", "b"])


def test_memory_is_bounded(throttle, monkeypatch):
    monkeypatch.setattr(module, "KEYS_LIMIT", 5)
    for n in range(20):
        throttle.attempt(["account:admin", f"address:{n}"])
        if n == 2:
            break
    for n in range(10):
        throttle.attempt([f"address:x{n}"])
    assert len(throttle._tried) == 5


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("/run/socket", "/run/socket"),
    ],
)
def test_addresses(address, key):
    assert address_key(address) == key
